package main

import (
	"context"
	"io"
	"net"
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
	go func() { ended <- serve(ctx, l, up.Addr().String()) }()
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
	go func() { _ = serve(t.Context(), l, gone.Addr().String()) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
}

func TestForwardRefusesAnAddressWithoutPort(t *testing.T) {
	if err := run(t.Context(), "127.0.0.1:0", "gateway"); err == nil {
		t.Error("ran")
	}
}
