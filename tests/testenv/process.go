package testenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Bounds of a process's life.
const (
	startTimeout = 4 * time.Minute  // compiling plugins on a busy machine takes its time
	stopTimeout  = 10 * time.Second // after SIGTERM, before SIGKILL
	pollEvery    = 20 * time.Millisecond
)

// A Command is a server to start.
type Command struct {
	Path string
	Args []string
	Dir  string   // "": the test's own
	Env  []string // added to the test's own
	// Healthy reports whether the server is ready; nil is ready at once.
	Healthy func(ctx context.Context) error
	Within  time.Duration // until it is; 0: a minute
}

// A Process is a running server. It ends with its test.
type Process struct {
	log  string
	done chan struct{} // closed when the process has ended
	err  error         // how; read only after done
	stop chan struct{}
	kill chan struct{}
	once sync.Once
}

// Start runs c and waits until it is healthy. Its output is kept in a file and
// shown when the test fails.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{
		log:  filepath.Join(t.TempDir(), filepath.Base(c.Path)+".log"),
		done: make(chan struct{}),
		stop: make(chan struct{}),
		kill: make(chan struct{}),
	}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go p.keep(c, out, started)
	t.Cleanup(func() {
		close(p.stop)
		<-p.done
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(c.Path), tail(p.Log(), 8000))
		}
	})
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", c.Path, err)
	}
	if c.Healthy != nil {
		p.await(t, c)
	}
	return p
}

// keep starts the process and waits for its end, all on one thread: Linux sends
// a child its parent-death signal when the thread that started it ends, and
// Envoy asks for one.
func (p *Process) keep(c Command, out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer out.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, out, out
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case p.err = <-ended:
		return
	case <-p.kill:
		_ = cmd.Process.Kill()
		p.err = <-ended
		return
	case <-p.stop:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case p.err = <-ended:
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		p.err = <-ended
	}
}

// Kill ends the process at once, as a power cut does, and waits for its end.
func (p *Process) Kill() {
	p.once.Do(func() { close(p.kill) })
	<-p.done
}

func (p *Process) await(t testing.TB, c Command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(c.Within, startTimeout))
	defer cancel()
	err := Await(ctx, func(ctx context.Context) error {
		select {
		case <-p.done:
			return errEnded
		default:
			return c.Healthy(ctx)
		}
	})
	if err != nil {
		t.Fatalf("%s did not get healthy: %v\n%s", c.Path, err, tail(p.Log(), 4000))
	}
}

// Log is all that the process has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var errEnded = errors.New("process has ended")

// Await calls ready until it returns nil, the process it waits for has ended,
// or ctx is done.
func Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %v", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// HTTPHealthy is a health check: GET url answers status.
func HTTPHealthy(url string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != status {
			return fmt.Errorf("GET %s: status %d, want %d", url, res.StatusCode, status)
		}
		return nil
	}
}

// Listening is a health check: addr accepts connections.
func Listening(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
