package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Ports of tests are below those that the kernel gives to outgoing connections: one
// of these would else take the port of a server that was killed and is to come back.
// Each test process has a block of its own, so that no two choose the same.
const (
	firstPort  = 16_384
	blocks     = 64
	blockPorts = 256
)

// block is this process's block.
var block struct {
	sync.Mutex
	lock *os.File // held until the process ends; nil: there is no block yet
	base int      // first port
	next int      // port to try next, from base
}

// FreeAddr returns an address of the loopback whose port was free a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	block.Lock()
	defer block.Unlock()
	if block.lock == nil {
		if err := takeBlock(); err != nil {
			t.Fatal(err)
		}
	}
	for range blockPorts {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(block.base+block.next))
		block.next = (block.next + 1) % blockPorts
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatalf("ports %d to %d are all taken", block.base, block.base+blockPorts-1)
	return ""
}

// takeBlock finds a block that no other process has.
func takeBlock() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "keyward", "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for n := range blocks {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(n)+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			block.lock, block.base = f, firstPort+n*blockPorts
			return nil
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock a block of ports: %w", err)
		}
	}
	return fmt.Errorf("all %d blocks of ports are taken", blocks)
}
