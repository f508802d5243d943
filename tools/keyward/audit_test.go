package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyward/tests/testenv"
)

func TestAuditTailShowsEntriesAsTheyCome(t *testing.T) {
	m := newTestManager(t)
	t.Setenv(envManager, m.url)
	t.Setenv(envTokenFile, m.token)
	var out testenv.Output
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs([]string{"audit", "tail", "--consumer", "worker-a", "--since", "1h"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	for i, id := range []string{"01J1", "01J2", "01J3"} {
		n := uint64(i) + 1
		if err := m.record(n, "worker-a", "x\x1b[2J\u202e", "allow", "policy.rego:1"); err != nil {
			t.Fatal(err)
		}
		if err := m.record(10*n, "worker-b", "y", "allow", "policy.rego:1"); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), id); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not shown:\n%s", id, out.String())
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	text := out.String()
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 3 || strings.Contains(text, "worker-b") || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("it shows %q", text)
	}
}
