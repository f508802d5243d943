package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward"
	"keyward/manager"
	"keyward/manager/api"
	"keyward/manager/client"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/tests/testenv"
)

// TestAStockOPARunsTheLivePolicy lets OPA load the Manager's bundle, and follow
// it by long polling.
func TestAStockOPARunsTheLivePolicy(t *testing.T) {
	testenv.Heavy(t, "the real opa, built")
	tools, err := exec.Command("../../scripts/tools").Output()
	if err != nil {
		t.Fatalf("scripts/tools, which has opa: %v", err)
	}
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, _, err := s.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	a, err := api.New(s, api.Options{Compiler: rego.Compiler{}, Log: slog.New(slog.DiscardHandler), Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a)
	defer srv.Close()
	defer close(stop)
	c, err := client.New(srv.URL, first.Secret, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(policy string) {
		t.Helper()
		p, _, err := c.CreatePolicy(t.Context(), client.Request{}, manager.PolicySpec{
			PolicySource: manager.PolicySource{Modules: map[string]string{"policy.rego": policy}},
		})
		if err == nil {
			_, _, err = c.PublishPolicy(t.Context(), client.Request{}, p.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	publish(keyward.DefaultPolicy)

	config := fmt.Sprintf(`services:
  keyward: {url: %q, credentials: {bearer: {token_path: %q}}}
bundles:
  keyward: {service: keyward, resource: bundles/keyward.tar.gz, polling: {long_polling_timeout_seconds: 20}}
`, srv.URL, filepath.Join(dir, "token"))
	for name, text := range map[string]string{"opa.yaml": config, "token": first.Secret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := startOPA(t, filepath.Join(strings.TrimSpace(string(tools)), "opa"), filepath.Join(dir, "opa.yaml"))
	input := map[string]any{"input": map[string]any{
		"kind": "mcp", "consumer": map[string]any{"labels": map[string]any{}},
		"mcp":    map[string]any{"kind": "request", "method": "tools/call", "name": "get_issue"},
		"grants": []any{map[string]any{"tools": []any{"get_issue"}}},
	}}
	decides(t, url, input, true)
	publish("package keyward\n\ndefault allow := false\n")
	decides(t, url, input, false)
}

// startOPA runs opa until the test ends, and returns its base URL.
func startOPA(t *testing.T, opa, config string) string {
	t.Helper()
	addr := freeAddress(t)
	cmd := exec.Command(opa, "run", "--server", "--addr="+addr, "--config-file="+config, "--disable-telemetry")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return "http://" + addr
}

// decides waits until OPA answers as it should.
func decides(t *testing.T, url string, input any, want bool) {
	t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last string
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/data/keyward/allow", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			var a struct{ Result *bool }
			err = json.NewDecoder(res.Body).Decode(&a)
			res.Body.Close()
			if err == nil && a.Result != nil && *a.Result == want {
				return
			}
			last = fmt.Sprint(res.StatusCode, " ", err)
		} else {
			last = err.Error()
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("OPA never said %v; last answer %s", want, last)
}
