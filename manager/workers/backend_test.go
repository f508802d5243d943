package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyward/manager"
)

// A folder is a backend whose containers are files, so that they outlive the
// process that made them.
type folder struct {
	dir   string
	crash *crash
	// refuse has launches fail; nil: none. It is not used across processes.
	refuse func() error
	// fetch has an image be away; nil: none is.
	fetch func(image string) error
}

var _ manager.Launcher = (*folder)(nil)

// A container is what such a file holds.
type container struct {
	Run   string
	Phase manager.Phase
	Image string
	Env   map[string]string
	Files map[string]string
}

func (f *folder) path(worker string) string { return filepath.Join(f.dir, worker+".json") }

func (f *folder) read(worker string) (container, error) {
	var c container
	b, err := os.ReadFile(f.path(worker))
	if errors.Is(err, fs.ErrNotExist) {
		return c, &manager.Error{Kind: manager.KindWorker, ID: worker, Err: manager.ErrNotFound}
	}
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

func (f *folder) write(worker string, c container) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	tmp := f.path(worker) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, f.path(worker))
}

// around has the process killed before or after what fn does.
func (f *folder) around(fn func() error) error {
	f.crash.point()
	defer f.crash.point()
	return fn()
}

func files(l manager.Launch) map[string]string {
	m := map[string]string{}
	for k, v := range l.Files {
		m[k] = string(v)
	}
	return m
}

func (f *folder) Fetch(_ context.Context, image string) error {
	if f.fetch == nil {
		return nil
	}
	return f.fetch(image)
}

func (f *folder) Launch(_ context.Context, l manager.Launch) (manager.Instance, error) {
	if f.refuse != nil {
		if err := f.refuse(); err != nil {
			return manager.Instance{}, err
		}
	}
	err := f.around(func() error {
		if c, err := f.read(l.Worker); err == nil && c.Run == l.Run && c.Phase == manager.PhaseRunning {
			return nil
		}
		return f.write(l.Worker, container{l.Run, manager.PhaseRunning, l.Spec.Image, l.Env, files(l)})
	})
	return manager.Instance{Worker: l.Worker, Run: l.Run, Phase: manager.PhaseRunning}, err
}

func (f *folder) Instance(_ context.Context, worker string) (manager.Instance, error) {
	c, err := f.read(worker)
	return manager.Instance{Worker: worker, Run: c.Run, Phase: c.Phase}, err
}

func (f *folder) Instances(ctx context.Context) ([]manager.Instance, error) {
	found, err := filepath.Glob(filepath.Join(f.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var list []manager.Instance
	for _, path := range found {
		i, err := f.Instance(ctx, strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

func (f *folder) set(worker string, phase manager.Phase) error {
	return f.around(func() error {
		c, err := f.read(worker)
		if err != nil {
			return err
		}
		c.Phase = phase
		return f.write(worker, c)
	})
}

func (f *folder) Stop(_ context.Context, worker string) error {
	return f.set(worker, manager.PhaseStopped)
}

func (f *folder) Start(_ context.Context, worker string) error {
	return f.set(worker, manager.PhaseRunning)
}

func (f *folder) Replace(_ context.Context, l manager.Launch) error {
	return f.around(func() error {
		c, err := f.read(l.Worker)
		if err != nil {
			return err
		}
		c.Files = files(l)
		return f.write(l.Worker, c)
	})
}

func (f *folder) Remove(_ context.Context, worker string) error {
	return f.around(func() error {
		if err := os.Remove(f.path(worker)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (f *folder) Logs(context.Context, string, int) ([]byte, error) { return []byte("a line\n"), nil }

// A part is a folder that a Worker has, which stays.
type part struct {
	name, dir string
	crash     *crash
}

func (p *part) Name() string { return p.name }

func (p *part) Make(_ context.Context, w manager.Worker) error {
	p.crash.point()
	defer p.crash.point()
	return os.MkdirAll(filepath.Join(p.dir, p.name+"-"+w.ID), 0o700)
}

func (p *part) Retire(_ context.Context, w manager.Worker) error {
	p.crash.point()
	defer p.crash.point()
	return os.WriteFile(filepath.Join(p.dir, p.name+"-"+w.ID, "retired"), nil, 0o600)
}

// A crash kills the process at its n-th point; 0: never.
type crash struct{ n, seen int }

func (c *crash) point() {
	if c == nil {
		return
	}
	if c.seen++; c.seen == c.n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute) // the signal comes between two instructions
	}
}

func (f *folder) must(t *testing.T, worker string) container {
	t.Helper()
	c, err := f.read(worker)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
