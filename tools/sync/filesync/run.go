package filesync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"keyward/manager/files/wire"
)

// saveEvery is how often what was done is kept while more is to be done.
const saveEvery = 5 * time.Second

// A run is one command on a folder and a prefix.
type run struct {
	client *client
	folder *folder
	state  *state
	writer string // who writes, for the names of what is kept of conflicts
	report *report
	here   map[string]known
	saved  time.Time
}

func (r *run) object(name string) string { return r.state.Prefix + "/" + name }

// steps looks at both sides, and says what is to be done.
func (r *run) steps(ctx context.Context, m mode, checksum bool) ([]step, error) {
	var err error
	r.here, err = r.folder.scan(r.state, checksum, func(name string, err error) { r.report.failed(name, "is left out", err) })
	if err != nil {
		return nil, err
	}
	objects, err := r.client.list(ctx, r.state.Prefix, func(name string, err error) { r.report.failed(name, "is left out", err) })
	if err != nil {
		return nil, err
	}
	base, here, there := r.state.base(), map[string]string{}, map[string]string{}
	for name, k := range r.here {
		here[name] = k.ETag
	}
	for name, o := range objects {
		there[name] = o.ETag
	}
	// What could not be looked at, or is left out, is neither deleted nor written over.
	for _, side := range []map[string]string{base, here, there} {
		maps.DeleteFunc(side, func(name, _ string) bool { return r.folder.excluded(name) || r.report.has(name) })
	}
	return plan(m, base, here, there), nil
}

// do takes all steps, whatever becomes of single ones.
func (r *run) do(ctx context.Context, m mode, steps []step) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, r.state.save(r.folder.root))
		}
		if err := r.take(ctx, m, s); err != nil && ctx.Err() == nil {
			r.report.failed(s.name, string(s.do), err)
		}
		if time.Since(r.saved) > saveEvery {
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	if ctx.Err() == nil && !r.report.hasFailed() {
		r.tidy()
	}
	return errors.Join(ctx.Err(), r.save())
}

func (r *run) save() error {
	r.saved = time.Now()
	return r.state.save(r.folder.root)
}

// take takes a step, and keeps what both sides are then.
func (r *run) take(ctx context.Context, m mode, s step) error {
	switch s.do {
	case record:
		r.keep(s.name, r.here[s.name])
		return nil
	case forget:
		delete(r.state.Files, s.name)
		return nil
	case pull:
		return r.pull(ctx, s.name, r.here[s.name])
	case push:
		return r.push(ctx, m, s)
	case deleteHere:
		if err := r.folder.remove(s.name, r.here[s.name]); err != nil {
			return err
		}
		delete(r.state.Files, s.name)
	case deleteThere:
		if err := r.client.delete(ctx, r.object(s.name), s.there); err != nil && !errors.Is(err, errNotFound) {
			return err // a version that came in between is pulled by the next run
		}
		delete(r.state.Files, s.name)
	case conflict:
		return r.conflict(ctx, m, s.name)
	}
	r.report.did(s.do, s.name)
	return nil
}

func (r *run) keep(name string, k known) { r.state.Files[name] = k }

// pull puts the version that is there in place of what was found here.
func (r *run) pull(ctx context.Context, name string, was known) error {
	from, etag, err := r.fetch(ctx, name)
	if err != nil {
		return err
	}
	k, err := r.folder.place(from, name, was)
	if err != nil {
		return err
	}
	k.ETag = etag
	r.keep(name, k)
	r.report.did(pull, name)
	return nil
}

// push sends a file in place of the version that was found there.
func (r *run) push(ctx context.Context, m mode, s step) error {
	k := r.here[s.name]
	err := r.send(ctx, s.name, s.there, k)
	switch {
	case errors.Is(err, errVersion):
		return r.conflict(ctx, m, s.name)
	case errors.Is(err, errNotFound) && s.there != "": // deleted meanwhile: an edit wins
		err = r.send(ctx, s.name, "", k)
	}
	if err != nil {
		return err
	}
	r.keep(s.name, k)
	r.report.did(push, s.name)
	return nil
}

// conflict keeps the version here beside the one that is there, which takes its
// name. The kept one goes to the store too, where this run pushes: the folder may
// be gone tomorrow.
func (r *run) conflict(ctx context.Context, m mode, name string) error {
	k := r.here[name]
	from, etag, err := r.fetch(ctx, name)
	if err != nil {
		return err
	}
	beside := besideName(name, r.writer, k.ETag)
	if err := r.folder.unchanged(name, k); err != nil {
		return err
	}
	switch there, err := r.folder.look(beside, known{}, true); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case there.ETag != k.ETag:
		return fmt.Errorf("%q is there, and is something else", beside)
	}
	if err := r.folder.root.Rename(name, beside); err != nil {
		return err
	}
	kept := k
	k, err = r.folder.place(from, name, known{})
	if err != nil {
		return err
	}
	k.ETag = etag
	r.keep(name, k)
	r.report.conflict(name, beside)
	if !m.push {
		return nil
	}
	err = r.send(ctx, beside, "", kept)
	if err != nil {
		return fmt.Errorf("%q is kept here only: %w", beside, err)
	}
	r.keep(beside, kept)
	return nil
}

// besideName is the name that the loser of a conflict is kept under. It is the same
// for the same content, so that a run that was cut short makes no second one.
func besideName(name, writer, etag string) string {
	end := ".conflict-" + writer + "-" + etag[:min(8, len(etag))]
	dir, base := "", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, base = name[:i+1], name[i+1:]
	}
	room := min(wire.MaxSegment, wire.MaxName-len(dir)) - len(end)
	for len(base) > max(room, 0) {
		_, n := lastRune(base)
		base = base[:len(base)-n]
	}
	return dir + base + end
}

// names are the deeds of steps, for those who only want to see them.
func names(steps []step) []string {
	var list []string
	for _, s := range steps {
		if s.do != record && s.do != forget {
			list = append(list, fmt.Sprintf("%-13s  %s", s.do, printable(s.name)))
		}
	}
	return slices.Clip(list)
}
