// Package dockerd starts a Docker engine of one's own, for tests and the demo. It
// needs root, and the programs dockerd, nsenter, ip and iptables.
//
// The engine lives in a network namespace of its own: its bridges and firewall
// rules are not the machine's, and its containers have no way out but to what is
// made to listen there.
package dockerd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Times of an engine's life.
const (
	startWithin = time.Minute
	stopWithin  = 10 * time.Second // after SIGTERM, before SIGKILL
)

// An Engine is a running one.
type Engine struct {
	Host string // unix:// URL of its API
	Name string // of its network namespace

	dir    string
	client *http.Client
	stop   chan struct{}
	ended  chan error // how the process ended, once
}

// Missing says what of the needed programs and rights is not there; empty:
// nothing.
func Missing() string {
	for _, program := range []string{"dockerd", "nsenter", "ip", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	if os.Geteuid() != 0 {
		return "root, to run dockerd"
	}
	return ""
}

// Start starts an engine, and returns when it answers.
func Start(ctx context.Context) (_ *Engine, err error) {
	if what := Missing(); what != "" {
		return nil, fmt.Errorf("dockerd: %s is missing", what)
	}
	e := &Engine{Name: "keyward-" + strings.ToLower(rand.Text()[:8]), stop: make(chan struct{}), ended: make(chan error, 1)}
	if e.dir, err = os.MkdirTemp("", "keyward-docker-"); err != nil {
		return nil, err
	}
	socket := filepath.Join(e.dir, "d.sock")
	e.Host, e.client = "unix://"+socket, clientOf(socket)
	for _, args := range [][]string{{"netns", "add", e.Name}, {"-n", e.Name, "link", "set", "lo", "up"}} {
		if err := command(ctx, "ip", args...); err != nil {
			return nil, errors.Join(err, e.clear())
		}
	}
	if err := e.run(); err != nil {
		return nil, errors.Join(err, e.clear())
	}
	if err := e.ready(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// run starts the process. It ends with this one, however this one ends.
func (e *Engine) run() error {
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return err
	}
	cmd := exec.Command("nsenter", "--net="+e.namespace(), "dockerd", "--host", e.Host, "--data-root", filepath.Join(e.dir, "data"),
		"--exec-root", filepath.Join(e.dir, "exec"), "--pidfile", filepath.Join(e.dir, "pid"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err = <-ended:
			e.ended <- errors.Join(errors.New("dockerd: ended by itself"), err)
			return
		case <-e.stop:
		}
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
		select {
		case <-ended:
		case <-time.After(stopWithin):
			_ = cmd.Process.Kill()
			<-ended
		}
		e.ended <- nil
	}()
	return <-started
}

func (e *Engine) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if _, err := e.Get(ctx, "/_ping"); err == nil {
			return nil
		}
		select {
		case err := <-e.ended:
			e.ended <- err
			return fmt.Errorf("%w: %s", err, e.Log())
		case <-ctx.Done():
			return fmt.Errorf("dockerd: does not start: %w: %s", ctx.Err(), e.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close ends the engine with all that it runs, and removes what it left.
func (e *Engine) Close() error {
	close(e.stop)
	return errors.Join(<-e.ended, e.clear())
}

func (e *Engine) clear() error {
	unmount(e.dir)
	return errors.Join(command(context.Background(), "ip", "netns", "del", e.Name), os.RemoveAll(e.dir))
}

// unmount takes away what the engine's end left mounted below a folder.
func unmount(dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH) // what stays mounted is not removed, which is said
		}
	}
}

// Log is the end of what the engine wrote.
func (e *Engine) Log() string {
	b, err := os.ReadFile(filepath.Join(e.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-8000):])
}

func command(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", program, args, err, bytes.TrimSpace(out))
	}
	return nil
}

func clientOf(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}
