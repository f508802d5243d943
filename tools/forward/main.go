// Command keyward-forward joins Workers' networks to the gateway: it accepts TCP
// connections and passes their bytes to one fixed address, and to no other. It
// is a static binary for an empty image, and has neither files nor secrets.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Bounds of what Workers can take.
const (
	maxConnections = 4096
	dialTimeout    = 5 * time.Second
	idleTimeout    = time.Hour // an event stream may be silent for long
)

func main() {
	listen := flag.String("listen", ":8080", "address to accept connections on")
	to := flag.String("to", "", "host:port of the gateway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *listen, *to)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyward-forward:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, to string) error {
	if _, _, err := net.SplitHostPort(to); err != nil {
		return fmt.Errorf("--to %q: %w", to, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	return serve(ctx, l, to)
}

// serve forwards until the listener fails or ctx is done.
func serve(ctx context.Context, l net.Listener, to string) error {
	slots := make(chan struct{}, maxConnections)
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
func forward(ctx context.Context, c net.Conn, to string) {
	defer c.Close()
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	up, err := new(net.Dialer).DialContext(dial, "tcp", to)
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
