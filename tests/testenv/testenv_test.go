package testenv

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestStartKeepsTheOutputAndEndsTheProcess(t *testing.T) {
	sh := needProgram(t, "sh")
	var p *Process
	t.Run("process", func(t *testing.T) {
		ready := filepath.Join(t.TempDir(), "ready")
		p = Start(t, Command{
			Path: sh, Args: []string{"-c", "echo hello; : >" + ready + "; exec sleep 600"},
			Healthy: func(context.Context) error { _, err := os.Stat(ready); return err },
		})
		if log := p.Log(); !strings.Contains(log, "hello") {
			t.Errorf("log = %q", log)
		}
	})
	select {
	case <-p.done:
	default:
		t.Error("the process outlives its test")
	}
}

func TestAwaitEndsWithTheProcess(t *testing.T) {
	n := 0
	err := Await(t.Context(), func(context.Context) error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return errEnded
	})
	if !errors.Is(err, errEnded) || n != 3 {
		t.Errorf("Await = %v after %d calls", err, n)
	}
}

func TestCachedInstallsOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	n := 0
	install := func(_ context.Context, dir string) error {
		n++
		return os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
	}
	first := cached(t, "thing", []string{"a==1"}, install)
	if second := cached(t, "thing", []string{"a==1"}, install); second != first || n != 1 {
		t.Errorf("installed %d times, into %q and %q", n, first, second)
	}
	if other := cached(t, "thing", []string{"a==2"}, install); other == first || n != 2 {
		t.Errorf("another version has the same folder %q", other)
	}
}

func TestReaddressChangesPortsAlone(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(Root(t), "deploy", "envoy", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]string{}
	for _, name := range append(envoyClusters, "admin", "gateway", "local") {
		addresses[name] = "127.0.0.1:1234"
	}
	got, err := readdress(source, addresses)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "port_value: 1234"); n != len(addresses) {
		t.Errorf("%d ports changed, want %d", n, len(addresses))
	}
	delete(addresses, "llm")
	if _, err := readdress(source, addresses); err == nil {
		t.Error("a cluster without an address is left alone")
	}
}

func TestThreads(t *testing.T) {
	log := `[2026-01-01 00:00:00.000][7][info][wasm] [context.cc:1] wasm log gate keyward-gate: configuration in force
[2026-01-01 00:00:00.000][7][info][wasm] [context.cc:1] wasm log gate keyward-gate: configuration in force
[2026-01-01 00:00:00.000][8][error][wasm] [context.cc:1] wasm log gate keyward-gate: configuration refused, because
[2026-01-01 00:00:00.000][9][info][wasm] [context.cc:1] wasm log key-swap keyward-key-swap: configuration in force
`
	if n := threads(log, "gate"); n != 2 {
		t.Errorf("threads = %d, want 2", n)
	}
}

func TestFreeAddrIsNoneOfTheKernels(t *testing.T) {
	seen := map[string]bool{}
	for range blockPorts / 2 {
		addr := FreeAddr(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < firstPort || n >= firstPort+blocks*blockPorts || seen[addr] {
			t.Errorf("%s was given, %v", addr, err)
		}
		seen[addr] = true
	}
}
