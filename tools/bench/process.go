package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of an Envoy's life.
const (
	startTimeout = 15 * time.Minute // compiling 40 MB of wasm on a busy machine
	stopTimeout  = 10 * time.Second
)

// An envoy is one running Envoy.
type envoy struct {
	addr string // of its listener
	pid  int
	log  string // file
	stop chan struct{}
	done chan struct{}
}

// startEnvoy starts Envoy with a bootstrap, and waits until it listens: plugins
// are loaded before that.
func startEnvoy(ctx context.Context, binary string, b bootstrap, env []string, dir string) (*envoy, error) {
	config, err := b.render()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, strings.ReplaceAll(b.name, " ", "_")+"-"+strconv.Itoa(b.workers))
	if err := os.WriteFile(name+".json", config, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "-c", name+".json", "--concurrency", strconv.Itoa(b.workers),
		"--use-dynamic-base-id", "--log-level", "warning")
	cmd.Env = append(os.Environ(), env...)
	e := &envoy{addr: b.listen, log: name + ".log", stop: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error)
	go e.keep(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	e.pid = cmd.Process.Pid
	if err := e.await(ctx); err != nil {
		e.close()
		return nil, fmt.Errorf("envoy of row %q: %w\n%s", b.name, err, e.tail())
	}
	return e, nil
}

// keep starts the process and sees to its end, all on one thread: Linux sends a
// child its parent-death signal when the thread that started it ends.
func (e *envoy) keep(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(e.done)
	out, err := os.Create(e.log)
	if err != nil {
		started <- err
		return
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	// Its own group: an interrupt at the terminal is for the bench to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = cmd.Start()
	started <- err
	if err != nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ends tells nothing: its log does
	}()
	select {
	case <-ended:
		return
	case <-e.stop:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		<-ended
	}
}

func (e *envoy) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", e.addr); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.done:
			return errors.New("ended before it listened")
		case <-tick.C:
		}
	}
}

func (e *envoy) close() {
	close(e.stop)
	<-e.done
}

// tail is the end of what it has logged.
func (e *envoy) tail() string {
	b, err := os.ReadFile(e.log)
	if err != nil {
		return err.Error()
	}
	const enough = 4000
	return string(b[max(0, len(b)-enough):])
}

// freeAddr returns an address of the loopback whose port was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
