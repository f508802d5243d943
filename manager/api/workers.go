package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
	"keyward/manager/store"
)

// A WorkerBackend knows of Workers what the store does not.
type WorkerBackend interface {
	Status(ctx context.Context, id string) (manager.WorkerStatus, error)
	Logs(ctx context.Context, id string, lines int) ([]byte, error)
}

type workerFilter struct {
	Paged
	Health manager.HealthState `query:"health" enum:"down,misbehaving,stuck,idle,healthy" doc:"Only those of this health"`
}

type createWorker struct {
	Mutation
	Body manager.NewWorker
}

type updateWorker struct {
	Versioned
	Body manager.WorkerUpdate
}

type rotateWorker struct {
	Versioned
	Body manager.WorkerRotation
}

type workerLogs struct {
	ByID
	Lines int `query:"lines" minimum:"1" maximum:"10000" default:"100" doc:"How many at most; 1 MiB in any case"`
}

type text struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// workers refuses what only a Manager that runs Workers can do.
func (a *API) workers() (WorkerBackend, error) {
	if a.workerBackend == nil {
		return nil, &manager.Error{Kind: manager.KindWorker, Err: manager.ErrState, Why: "this Manager runs no Workers"}
	}
	return a.workerBackend, nil
}

func (a *API) registerWorkers() {
	const path = "/v1/workers"
	write(a, creation("create-worker", "POST "+path, "Create a Worker: its consumer, grants and token, and a container", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *createWorker) (*changed[manager.Worker], error) {
			if _, err := a.workers(); err != nil {
				return nil, err
			}
			w, err := tx.CreateWorker(ctx, in.Body)
			return created(w, w.Meta, path), err
		})
	read(a, operation("list-workers", "GET "+path, "List Workers with their health", manager.Auditor),
		func(ctx context.Context, in *workerFilter) (*listed[manager.WatchedWorker], error) {
			return listOf(a.store.WatchedWorkers(ctx, in.Health, in.page()))
		})
	read(a, operation("get-worker", "GET "+path+"/{id}", "Get a Worker with its health", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.WatchedWorker], error) {
			w, err := a.store.WatchedWorker(ctx, in.ID)
			return &object[manager.WatchedWorker]{etag(w.Meta), w}, err
		})
	read(a, operation("get-worker-status", "GET "+path+"/{id}/status", "Get a Worker with the facts of its container", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.WorkerStatus], error) {
			b, err := a.workers()
			if err != nil {
				return nil, err
			}
			st, err := b.Status(ctx, in.ID)
			return &object[manager.WorkerStatus]{etag(st.Worker.Meta), st}, err
		})
	read(a, logsOperation(path), func(ctx context.Context, in *workerLogs) (*text, error) {
		b, err := a.workers()
		if err != nil {
			return nil, err
		}
		out, err := b.Logs(ctx, in.ID, in.Lines)
		return &text{"text/plain; charset=utf-8", out}, err
	})
	write(a, operation("update-worker", "PUT "+path+"/{id}", "Change a Worker and what it may use, at once. Its container is replaced where what it is launched with differs, once the image is there", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *updateWorker) (*changed[manager.Worker], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			if err := tx.RegrantWorker(ctx, in.ID, version, in.Body.Grant, in.Body.Revoke); err != nil {
				return nil, err
			}
			w, err := tx.UpdateWorker(ctx, in.ID, version, in.Body.WorkerSpec)
			return as(w, w.Meta), err
		})
	a.registerWorkerActions(path)
}

func logsOperation(path string) huma.Operation {
	op := operation("get-worker-logs", "GET "+path+"/{id}/logs", "Get the end of what a Worker wrote. It is the Worker's own text", manager.Auditor)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	return op
}

func (a *API) registerWorkerActions(path string) {
	for _, v := range []struct {
		verb, summary string
		change        func(*store.Tx, context.Context, string, uint64) (manager.Worker, error)
	}{
		{"suspend", "Suspend a Worker: it may do nothing from now on, and its container is stopped", (*store.Tx).SuspendWorker},
		{"resume", "Resume a suspended Worker", (*store.Tx).ResumeWorker},
		{"wake", "Wake a Worker that was put to sleep because it had nothing to do", (*store.Tx).WakeWorker},
		{"reset", "End a Worker's tokens now, and give it another and a fresh container; files and room stay", (*store.Tx).ResetWorker},
	} {
		write(a, operation(v.verb+"-worker", "POST "+path+"/{id}/"+v.verb, v.summary, manager.Operator),
			func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[manager.Worker], error) {
				version, err := in.may()
				if err != nil {
					return nil, err
				}
				w, err := v.change(tx, ctx, in.ID, version)
				return as(w, w.Meta), err
			})
	}
	write(a, operation("rotate-worker", "POST "+path+"/{id}/rotate", "Give a Worker a new token", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *rotateWorker) (*changed[manager.Worker], error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			w, err := tx.RotateWorker(ctx, in.ID, version, in.Body)
			return as(w, w.Meta), err
		})
	op := operation("delete-worker", "DELETE "+path+"/{id}", "Delete a Worker: tokens and grants now, then its container; room and audit stay", manager.Admin)
	op.DefaultStatus = http.StatusOK
	write(a, op, func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[manager.Worker], error) {
		version, err := in.may()
		if err != nil {
			return nil, err
		}
		w, err := tx.DeleteWorker(ctx, in.ID, version)
		return as(w, w.Meta), err
	})
}
