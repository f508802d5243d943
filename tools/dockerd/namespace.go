package dockerd

import (
	"context"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

func (e *Engine) namespace() string { return "/var/run/netns/" + e.Name }

// Do runs fn on a thread in the engine's network namespace. Sockets that fn opens
// stay there, whoever uses them.
func (e *Engine) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		f, err := os.Open(e.namespace())
		if err != nil {
			done <- err
			return
		}
		defer f.Close() // only read
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// Listen listens in the engine's network namespace: for a container that is the
// host.
func (e *Engine) Listen(addr string) (l net.Listener, err error) {
	err = e.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	return l, err
}

// Address gives the host that the engine runs on one more address.
func (e *Engine) Address(ctx context.Context, addr string) error {
	return command(ctx, "ip", "-n", e.Name, "addr", "add", addr, "dev", "lo")
}
