// Package folder keeps the live policy as a folder or git work tree has it: what
// is saved there is compiled, tested and published.
//
// # Failure
//
// What does not compile, or fails one of its own tests, is reported with its
// place and never published: the policy stays as it was.
package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"keyward/manager"
	"keyward/manager/rego"
	"keyward/manager/store"
)

// Times of a watcher.
const (
	// quiet is how long nothing may be saved before the folder is read: editors and
	// git write several files.
	quiet = 200 * time.Millisecond
	// again is how often the folder is read without being told of a change, as on a
	// network file system.
	again = 10 * time.Second
)

// actor is who publishes, as the audit log names it.
var actor = manager.Actor{ID: "policy-dir", Name: "policy folder", Role: manager.Admin}

// A Watcher publishes what is saved in a folder.
type Watcher struct {
	dir      string
	store    *store.Store
	compiler manager.Compiler
	log      *slog.Logger
	last     string // digest of what was read last, or the error
}

// New returns a watcher of a folder, which must be there.
func New(dir string, s *store.Store, c manager.Compiler, log *slog.Logger) (*Watcher, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q is not there: make the folder, with a policy in it", dir)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: not a folder", dir)
	}
	return &Watcher{dir: dir, store: s, compiler: c, log: cmp.Or(log, slog.Default())}, nil
}

// Run publishes what is in the folder, and what is saved there, until ctx is
// done.
func (w *Watcher) Run(ctx context.Context) error {
	f, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer f.Close()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.Events:
			wake.Reset(quiet)
			continue
		case err := <-f.Errors:
			w.log.WarnContext(ctx, "policy folder: changes may be noticed late", slog.Any("error", err))
			continue
		case <-wake.C:
		}
		if w.busy() {
			wake.Reset(quiet)
			continue
		}
		if err := w.look(f); err != nil {
			w.log.WarnContext(ctx, "policy folder: changes may be noticed late", slog.Any("error", err))
		}
		w.Sync(ctx)
		wake.Reset(again)
	}
}

// busy reports whether git is changing the work tree.
func (w *Watcher) busy() bool {
	_, err := os.Stat(filepath.Join(w.dir, ".git", "index.lock"))
	return err == nil
}

// look has f tell of changes in every folder, also those that came since.
func (w *Watcher) look(f *fsnotify.Watcher) error {
	return filepath.WalkDir(w.dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case name != w.dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		default:
			return f.Add(name)
		}
	})
}

// Sync publishes what is in the folder if that is new, and reports what is wrong
// with it, once.
func (w *Watcher) Sync(ctx context.Context) {
	src, err := rego.Load(w.dir)
	this := fmt.Sprint(err)
	if err == nil {
		this, err = src.Sum()
	}
	if this == w.last {
		return
	}
	id, retry := "", false
	if err == nil {
		id, err = w.publish(ctx, src, this)
		retry = err != nil && !errors.Is(err, manager.ErrInvalid) && !errors.Is(err, manager.ErrState)
	}
	if ctx.Err() != nil {
		return
	}
	if !retry { // the store may answer the next time
		w.last = this
	}
	switch {
	case err != nil:
		w.report(ctx, err)
	case id != "":
		w.log.InfoContext(ctx, "policy folder: published", slog.String("policy", id), slog.String("folder", w.dir))
	}
}

// report says what keeps the folder from being published: each fault with
// file:line:column.
func (w *Watcher) report(ctx context.Context, err error) {
	const message = "policy folder: not published, the policy stays as it was"
	var faults *manager.PolicyError
	if !errors.As(err, &faults) || len(faults.Faults) == 0 {
		w.log.ErrorContext(ctx, message, slog.Any("error", err))
		return
	}
	for _, f := range faults.Faults {
		if f.File != "" {
			f.File = filepath.Join(w.dir, f.File)
		}
		w.log.ErrorContext(ctx, message, slog.String("error", f.String()))
	}
}

// publish returns the id of the version that went live; empty: it was live.
func (w *Watcher) publish(ctx context.Context, src manager.PolicySource, digest string) (string, error) {
	st, err := w.store.Generation(ctx)
	if err != nil {
		return "", err
	}
	if st.Policy != "" {
		live, err := w.store.Policy(ctx, st.Policy)
		if err != nil || live.Digest == digest {
			return "", err
		}
	}
	program, err := w.compiler.Compile(ctx, src)
	if err != nil {
		return "", err
	}
	tests, err := w.compiler.Test(ctx, src)
	if err != nil {
		return "", err
	}
	if !tests.Passed {
		return "", &manager.Error{Kind: manager.KindPolicy, Err: manager.ErrState, Why: "its tests fail:\n" + tests.Report}
	}
	var p manager.PolicyText
	_, err = w.store.Mutate(ctx, store.Mutation{By: actor}, func(tx *store.Tx) error {
		if p, err = tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: src, Note: w.note()}); err != nil {
			return err
		}
		_, err := tx.PublishPolicy(ctx, p.ID, 0, program)
		return err
	})
	return p.ID, err
}

// note says where a version came from: of a git work tree, which commit is
// checked out.
func (w *Watcher) note() string {
	head, err := os.ReadFile(filepath.Join(w.dir, ".git", "HEAD"))
	if err != nil {
		return "from the policy folder"
	}
	commit := strings.TrimSpace(string(head))
	if ref, ok := strings.CutPrefix(commit, "ref: "); ok && filepath.IsLocal(ref) {
		if head, err = os.ReadFile(filepath.Join(w.dir, ".git", ref)); err == nil {
			commit = strings.TrimSpace(string(head))
		}
	}
	if len(commit) < 40 || strings.Trim(commit, "0123456789abcdef") != "" {
		return "from the policy folder"
	}
	return "from the policy folder, on commit " + commit[:12]
}
