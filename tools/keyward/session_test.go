package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/api"
	"keyward/manager/audit/audittest"
	"keyward/manager/rego"
	"keyward/manager/store"
)

// A testManager is a Manager's API, and a file with an admin token for it.
type testManager struct {
	t          testing.TB
	url, token string
	store      *store.Store
	logKey     string // public key of its log
}

func newTestManager(t testing.TB) testManager {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	first, _, err := s.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keeper := audittest.NewKeeper(t, s)
	a, err := api.New(s, api.Options{Compiler: rego.Compiler{}, Keeper: keeper, Log: slog.New(slog.DiscardHandler), Workers: noBackend{s}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	m := testManager{t, srv.URL, filepath.Join(dir, "admin.token"), s, keeper.PublicKey()}
	if err := os.WriteFile(m.token, []byte(first.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// noBackend lets Workers be made, which then wait for a container for ever.
type noBackend struct{ *store.Store }

func (b noBackend) Status(ctx context.Context, id string) (manager.WorkerStatus, error) {
	w, err := b.Worker(ctx, id)
	return manager.WorkerStatus{Worker: w}, err
}

func (noBackend) Logs(context.Context, string, int) ([]byte, error) { return nil, nil }

// try runs a command against m, and returns what it printed.
func (m testManager) try(args ...string) (string, error) {
	m.t.Helper()
	m.t.Setenv(envManager, m.url)
	m.t.Setenv(envTokenFile, m.token)
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(""))
	root.SetArgs(args)
	err := root.ExecuteContext(m.t.Context())
	return out.String(), err
}

func (m testManager) run(args ...string) string {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.t.Fatalf("%q: %v", args, err)
	}
	return out
}

func TestATokenIsNotSentInTheClear(t *testing.T) {
	for url, good := range map[string]bool{
		"http://127.0.0.1:8700": true, "http://[::1]:8700": true, "http://localhost:1": true, "https://manager:8700": true,
		"http://manager:8700": false, "http://10.0.0.1": false, "http://127.0.0.1.example": false,
		"ftp://localhost": false, "https://u:p@manager": false, "": false, "http://0.0.0.0:1": false,
	} {
		if err := (connection{manager: url}).checkURL(); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestConsumerCommands(t *testing.T) {
	m := newTestManager(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "worker-a", "-l", "team=search", "--wait"}, "worker-a  worker  active  team=search"},
		{[]string{"create", "human-b", "--kind", "human", "-o", "name"}, "human-b\n"},
		{[]string{"list", "-o", "name"}, "human-b\nworker-a\n"},
		{[]string{"list", "--limit", "1", "-o", "name"}, "human-b\n"},
		{[]string{"label", "worker-a", "team-", "trial=yes"}, "trial=yes"},
		{[]string{"suspend", "worker-a"}, "suspended"},
		{[]string{"list", "--state", "suspended", "-o", "json"}, `"id": "worker-a"`},
		{[]string{"resume", "worker-a"}, "active"},
		{[]string{"revoke", "worker-a"}, "revoked"},
		{[]string{"get", "worker-a", "-o", "yaml"}, "\"state\": \"revoked\""},
		{[]string{"delete", "worker-a"}, ""},
	} {
		if got := m.run(append([]string{"consumer"}, tt.args...)...); !strings.Contains(got, tt.want) {
			t.Errorf("%q printed %q, want %q in it", tt.args, got, tt.want)
		}
	}
	if got := m.run("__complete", "consumer", "get", ""); !strings.Contains(got, "human-b\n") {
		t.Errorf("completion offers %q", got)
	}
}

func TestErrorsHaveHintsAndCodes(t *testing.T) {
	m := newTestManager(t)
	m.run("consumer", "create", "a")
	_, missing := m.try("consumer", "get", "nobody")
	_, exists := m.try("consumer", "create", "a")
	_, invalid := m.try("consumer", "create", "b", "--kind", "robot")
	other := m
	other.token = filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other.token, []byte(manager.AdminPrefix+"not-a-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, malformed := other.try("consumer", "list")
	secret, err := manager.NewSecret(manager.AdminPrefix, strings.NewReader(strings.Repeat("x", 64)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other.token, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	_, unknown := other.try("consumer", "list")
	down := m
	down.url = "http://127.0.0.1:1"
	_, refused := down.try("consumer", "list")
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"an object that is not there", missing, exitNotFound, "nobody"},
		{"an object that is there", exists, exitConflict, "exists"},
		{"a value that is not valid", invalid, exitInvalid, "kind"},
		{"a malformed token", malformed, exitFailed, manager.AdminPrefix},
		{"an unknown token", unknown, exitForbidden, "hint: the token is unknown"},
		{"a Manager that is down", refused, exitFailed, "hint: is the Manager running"},
	} {
		if tt.err == nil || exitCode(tt.err) != tt.code || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: code %d, %v", tt.name, exitCode(tt.err), tt.err)
		}
		if tt.err != nil && (strings.Contains(tt.err.Error(), secret) || strings.Contains(tt.err.Error(), "not-a-token")) {
			t.Errorf("%s: the error holds the token", tt.name)
		}
	}
	if exitCode(errors.Join(errWaiting)) != exitWaiting {
		t.Error("a change that is not confirmed has no code of its own")
	}
}

func TestATableMovesNoCursor(t *testing.T) {
	if got := cell("a\x1b[2Jb"); strings.ContainsRune(got, '\x1b') {
		t.Errorf("%q", got)
	}
}
