// Command keyward-forward is the way from Workers to the gateway: it accepts
// connections and passes their bytes to one fixed address, and to no other. A
// Worker's door accepts TCP on the loopback that the two share and passes to a
// Unix socket; the uplink accepts there and passes to the gateway by TCP. It is a
// static binary for an empty image, and has neither files nor secrets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of what Workers can take.
const (
	dialTimeout = 5 * time.Second
	idleTimeout = time.Hour // an event stream may be silent for long
)

// An address is host:port for TCP, or unix:PATH.
type address struct{ network, addr string }

func parse(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok && path != "" {
		return address{"unix", path}, nil
	}
	if _, _, err := net.SplitHostPort(s); err != nil {
		return address{}, fmt.Errorf("%q is neither host:port nor unix:PATH: %w", s, err)
	}
	return address{"tcp", s}, nil
}

func main() {
	listen := flag.String("listen", "", "where to accept connections: host:port or unix:PATH")
	to := flag.String("to", "", "where to pass them: host:port or unix:PATH")
	connections := flag.Int("connections", 4096, "how many at once; more wait")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *listen, *to, *connections, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyward-forward:", err)
		os.Exit(1)
	}
}

// run forwards until ctx is done. It writes a line to ready once it accepts.
func run(ctx context.Context, listen, to string, connections int, ready io.Writer) error {
	from, err := parse(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	up, err := parse(to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if connections < 1 {
		return errors.New("--connections must be at least 1")
	}
	if from.network == "unix" {
		// One that was killed leaves its socket.
		if err := os.Remove(from.addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, from.network, from.addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	if _, err := fmt.Fprintln(ready, "listening on", listen); err != nil {
		return err
	}
	return serve(ctx, l, up, connections)
}

// serve forwards until the listener fails or ctx is done.
func serve(ctx context.Context, l net.Listener, to address, connections int) error {
	slots := make(chan struct{}, connections)
	for {
		slots <- struct{}{}
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer func() { <-slots }()
			forward(ctx, c, to)
		}()
	}
}

// forward passes bytes both ways until both sides have ended, one has failed, or
// nothing moves any more.
func forward(ctx context.Context, c net.Conn, to address) {
	defer c.Close()
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	up, err := new(net.Dialer).DialContext(dial, to.network, to.addr)
	cancel()
	if err != nil {
		return // the Worker sees a closed connection
	}
	defer up.Close()
	defer context.AfterFunc(ctx, func() { c.Close(); up.Close() })()
	var both sync.WaitGroup
	both.Go(func() { pass(up, c) })
	both.Go(func() { pass(c, up) })
	both.Wait()
}

// pass copies until src ends, and passes the end on. A failure of either side
// ends both directions.
func pass(dst, src net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		_ = src.SetReadDeadline(time.Now().Add(idleTimeout)) // fails only on a closed one, as the read does
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				src.Close()
				return
			}
		}
		if err == io.EOF {
			if half, ok := dst.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			return
		}
		if err != nil {
			dst.Close()
			return
		}
	}
}
