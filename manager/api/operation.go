package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
	"keyward/manager/store"
)

var (
	errNoVersion  = errors.New("send If-Match with the ETag of what the update is based on")
	errNoCompiler = errors.New("this Manager has no policy compiler")
)

// operation describes an operation: "METHOD PATH", what it does, who may.
func operation(id, route, summary string, role manager.Role, more ...int) huma.Operation {
	method, path, _ := strings.Cut(route, " ")
	tag, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	if tag == "policy" {
		tag = "policies"
	}
	return huma.Operation{
		OperationID:  id,
		Method:       method,
		Path:         path,
		Summary:      summary,
		Description:  "Needs role " + string(role) + ".",
		Tags:         []string{tag},
		Security:     []map[string][]string{{"admin": {}}},
		Extensions:   map[string]any{roleName: role},
		MaxBodyBytes: maxBody,
		Errors: append([]int{
			http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
			http.StatusTooManyRequests, http.StatusServiceUnavailable,
		}, more...),
	}
}

// creation describes an operation that makes something new.
func creation(id, route, summary string, role manager.Role) huma.Operation {
	op := operation(id, route, summary, role)
	op.DefaultStatus = http.StatusCreated
	return op
}

// read registers an operation that changes nothing.
func read[I, O any](a *API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// Inputs that others embed are exported because huma reads embedded structs only
// then.

// A Mutation is what the input of every operation that changes something has.
type Mutation struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Lets the request be sent again; any text that no other request has"`
	Wait           string `json:"-" query:"wait" enum:"in_force" doc:"in_force: answer once every connected gateway has the change in force on all its threads; 202 when one has not in time"`
	WaitSeconds    int    `json:"-" query:"wait_seconds" minimum:"1" maximum:"30" default:"5" doc:"How long to wait for that"`
}

// waits is how long the caller waits for gateways; 0: not at all.
func (m *Mutation) waits() time.Duration {
	if m.Wait == "" {
		return 0
	}
	return time.Duration(m.WaitSeconds) * time.Second
}

func (m *Mutation) idempotencyKey() string { return m.IdempotencyKey }

type keyed interface {
	idempotencyKey() string
	waits() time.Duration
}

// A Versioned input is one of an update.
type Versioned struct {
	Mutation
	ID      string `path:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63"`
	IfMatch string `header:"If-Match" maxLength:"64" doc:"ETag of what the update is based on; * for whatever there is"`
}

// need is the version that the caller wants to change; 0: whichever, as If-Match
// says with a star.
func (v Versioned) need() (uint64, error) {
	if v.IfMatch == "" {
		return 0, errNoVersion
	}
	return v.may()
}

// may is need for operations that only take away, which nobody should have to
// read before.
func (v Versioned) may() (uint64, error) {
	if v.IfMatch == "" || v.IfMatch == "*" {
		return 0, nil
	}
	tag, ok := strings.CutPrefix(v.IfMatch, `"`)
	tag, ok2 := strings.CutSuffix(tag, `"`)
	n, err := strconv.ParseUint(tag, 10, 63)
	if !ok || !ok2 || err != nil || n == 0 {
		return 0, fmt.Errorf("If-Match %w: it is no ETag of this API", manager.ErrVersion)
	}
	return n, nil
}

// A changed is the answer to an operation that changed something.
type changed[T any] struct {
	Status     int
	ETag       string `header:"ETag" doc:"Version of the object"`
	Location   string `header:"Location" doc:"Where a new object is"`
	Generation uint64 `header:"Keyward-Generation" doc:"Generation in which the change is in force"`
	Force
	Body T
}

func (c *changed[T]) setGeneration(n uint64) { c.Generation = n }
func (c *changed[T]) generation() uint64     { return c.Generation }
func (c *changed[T]) setStatus(n int)        { c.Status = n }

// A gone is the answer to an operation that took an object away.
type gone struct {
	Status     int
	Generation uint64 `header:"Keyward-Generation" doc:"Generation in which it is gone"`
	Force
}

func (g *gone) setGeneration(n uint64) { g.Generation = n }
func (g *gone) generation() uint64     { return g.Generation }
func (g *gone) setStatus(n int)        { g.Status = n }

type generational interface {
	setGeneration(uint64)
	generation() uint64
	setStatus(int)
	force() *Force
}

// write registers an operation that changes something. handle runs inside the
// transaction.
func write[I, O any](a *API, op huma.Operation, handle func(context.Context, *store.Tx, *I) (*O, error)) {
	writePrepared(a, op, func(context.Context, *I) error { return nil }, handle)
}

// writePrepared is write for an operation with slow work to do before the
// transaction, which others would wait for.
func writePrepared[I, O any](a *API, op huma.Operation, prepare func(context.Context, *I) error,
	handle func(context.Context, *store.Tx, *I) (*O, error),
) {
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusPreconditionRequired)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		// The answer is kept for the request as it came: prepare may change it.
		keep, err := answerKeyOf(ctx, op.OperationID, in)
		if err == nil {
			err = prepare(ctx, in)
		}
		var out *O
		if err == nil {
			out, err = change(ctx, a, keep, in, handle)
		}
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		answer, status := any(out).(generational), op.DefaultStatus
		if status == 0 {
			status = successOf[O]()
		}
		if patience := any(in).(keyed).waits(); patience > 0 {
			if err := a.inForce(ctx, answer.force(), answer.generation(), patience); err != nil {
				return nil, a.problem(ctx, err)
			}
			if answer.force().InForce == "false" {
				status = http.StatusAccepted
			}
		}
		answer.setStatus(status)
		return out, nil
	})
	documentWait(a.huma.OpenAPI(), op)
}

// answerKeyOf returns the key for a request that may be sent again; nil: it has
// no idempotency key.
func answerKeyOf(ctx context.Context, operation string, in any) (*answerKey, error) {
	k := in.(keyed).idempotencyKey()
	if k == "" {
		return nil, nil
	}
	return newAnswerKey(callerOf(ctx), k, operation, in)
}

func change[I, O any](ctx context.Context, a *API, keep *answerKey, in *I, handle func(context.Context, *store.Tx, *I) (*O, error)) (*O, error) {
	who := callerOf(ctx)
	var out *O
	replayed := false
	gen, err := a.store.Mutate(ctx, store.Mutation{By: who.Actor, Request: requestID(ctx)}, func(tx *store.Tx) (err error) {
		if keep != nil {
			out = new(O)
			if replayed, err = keep.replay(ctx, tx, out); err != nil || replayed {
				return err
			}
		}
		if out, err = handle(ctx, tx, in); err != nil {
			return err
		}
		any(out).(generational).setGeneration(tx.Generation())
		if keep == nil {
			return nil
		}
		return keep.keep(ctx, tx, out)
	})
	if err != nil {
		return nil, err
	}
	if !replayed {
		any(out).(generational).setGeneration(gen)
	}
	return out, nil
}

func etag(m manager.Meta) string { return fmt.Sprintf("%q", strconv.FormatUint(m.Version, 10)) }

// as returns an object as the answer to what changed it.
func as[T any](v T, m manager.Meta) *changed[T] { return &changed[T]{ETag: etag(m), Body: v} }

// created returns a new object, which is below path.
func created[T any](v T, m manager.Meta, path string) *changed[T] {
	c := as(v, m)
	c.Location = path + "/" + m.ID
	return c
}

// An object is the answer to a request for one.
type object[T any] struct {
	ETag string `header:"ETag" doc:"Version of the object"`
	Body T
}

// ByID is the input of a request for one object.
type ByID struct {
	ID string `path:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63"`
}

// Paged is the input of a request for a list.
type Paged struct {
	After string `query:"after" pattern:"^[a-z0-9._-]+$" maxLength:"64" doc:"The next of the page before; absent: from the start"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Longest page"`
}

func (p Paged) page() manager.Page { return manager.Page{After: p.After, Limit: p.Limit} }

// A list is a page of objects.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"What to send as after for the next page; absent: this is the last"`
}

type listed[T any] struct{ Body list[T] }

func listOf[T any](l manager.List[T], err error) (*listed[T], error) {
	if err != nil {
		return nil, err
	}
	return &listed[T]{list[T]{Items: l.Items, Next: l.After}}, nil
}
