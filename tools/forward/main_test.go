package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestForwardPassesBytesAndEnds(t *testing.T) {
	up, l := listener(t), listener(t)
	got := make(chan string, 1)
	go func() {
		c, err := up.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c) // ends with the client's half-close
		got <- string(b)
		_, _ = io.WriteString(c, "answer")
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, address{"tcp", up.Addr().String()}, 2) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "question"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if q := <-got; q != "question" || string(answer) != "answer" || err != nil {
		t.Errorf("forwarded %q and %q, %v", q, answer, err)
	}
	cancel()
	l.Close()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestForwardClosesWhatHasNoGateway(t *testing.T) {
	gone, l := listener(t), listener(t)
	gone.Close()
	go func() { _ = serve(t.Context(), l, address{"tcp", gone.Addr().String()}, 2) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
}

func TestForwardRefusesWhatIsNoAddress(t *testing.T) {
	for _, tt := range [][2]string{{"127.0.0.1:0", "gateway"}, {"gateway", "127.0.0.1:1"}, {"unix:", "127.0.0.1:1"}} {
		if err := run(t.Context(), tt[0], tt[1], 1, io.Discard); err == nil {
			t.Errorf("ran from %q to %q", tt[0], tt[1])
		}
	}
}

// TestDoorAndUplink joins two as a Worker has them: TCP to a socket, and on.
func TestDoorAndUplink(t *testing.T) {
	gateway := listener(t)
	go func() {
		for {
			c, err := gateway.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	socket := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // as one that was killed leaves it
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	start := func(listen, to string) string {
		r, w := io.Pipe()
		ended.Go(func() {
			if err := run(ctx, listen, to, 4, w); err != nil {
				t.Error(err)
			}
		})
		line, err := bufio.NewReader(r).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	start("unix:"+socket, gateway.Addr().String())
	free := listener(t)
	free.Close()
	start(free.Addr().String(), "unix:"+socket)
	c, err := net.Dial("tcp", free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "echo"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); string(b) != "echo" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	cancel()
	ended.Wait()
}
