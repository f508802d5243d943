package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/api"
	"keyward/manager/audit/audittest"
	"keyward/manager/client"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A seen log handler notes which operations were called.
type seen struct {
	slog.Handler
	mu  sync.Mutex
	ops map[string]bool
}

func (s *seen) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "operation" {
			s.ops[a.Value.String()] = true
		}
		return true
	})
	return nil
}

func newClient(t *testing.T) (*client.Client, *api.API, *seen) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	first, _, err := s.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keeper := audittest.NewKeeper(t, s)
	if _, err := keeper.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := &seen{Handler: slog.DiscardHandler, ops: map[string]bool{}}
	a, err := api.New(s, api.Options{Compiler: rego.Compiler{}, Log: slog.New(enabled{log}), Workers: backend{s}, Keeper: keeper})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, first.Secret, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, a, log
}

// enabled makes the discarding handler below take records.
type enabled struct{ *seen }

func (enabled) Enabled(context.Context, slog.Level) bool { return true }

func ok[T any](t *testing.T) func(T, client.Change, error) T {
	return func(v T, c client.Change, err error) T {
		t.Helper()
		if err != nil || c.Generation == 0 {
			t.Fatalf("%+v, generation %d, %v", v, c.Generation, err)
		}
		return v
	}
}

func done(t *testing.T) func(client.Change, error) {
	return func(c client.Change, err error) {
		t.Helper()
		if err != nil || c.Generation == 0 {
			t.Fatalf("generation %d, %v", c.Generation, err)
		}
	}
}

func read[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestEveryOperation calls all that the API's document has.
func TestEveryOperation(t *testing.T) {
	c, a, log := newClient(t)
	ctx, none, page := t.Context(), client.Request{}, manager.Page{}
	sealed := manager.CredentialSealed{
		Upstream: snapshot.Upstream{Hosts: []string{"h"}}, Sealed: []snapshot.Sealed{{Key: "k", Data: []byte("x")}},
	}

	w := ok[manager.Consumer](t)(c.CreateConsumer(ctx, none, manager.ConsumerSpec{ID: "w", Kind: "worker"}))
	w = ok[manager.Consumer](t)(c.UpdateConsumer(ctx, client.Request{Version: w.Version}, "w", manager.ConsumerUpdate{Labels: map[string]string{"a": "b"}}))
	if got := read[manager.Consumer](t)(c.Consumer(ctx, "w")); got.Version != w.Version || got.Labels["a"] != "b" {
		t.Errorf("consumer = %+v", got)
	}
	ok[manager.Credential](t)(c.EnrolCredential(ctx, none, manager.CredentialSpec{ID: "k", CredentialSealed: sealed}))
	target := manager.TargetSpec{
		Kind: policies.KindMCP, Match: []snapshot.Match{{Path: "/t"}}, Upstream: sealed.Upstream,
		Credential: "k", Inject: &snapshot.Inject{Form: snapshot.Bearer},
	}
	ok[manager.Target](t)(c.CreateTarget(ctx, none, manager.NewTarget{ID: "t", TargetSpec: target}))
	ok[manager.Target](t)(c.UpdateTarget(ctx, none, "t", target))
	ok[manager.Consumer](t)(c.SetConsumerCredential(ctx, none, "w", "t", "k"))
	ok[manager.Consumer](t)(c.ClearConsumerCredential(ctx, none, "w", "t"))

	issued := ok[manager.Issued[manager.Token]](t)(c.IssueToken(ctx, client.Request{Key: "once"}, manager.TokenSpec{Consumer: "w"}))
	again := ok[manager.Issued[manager.Token]](t)(c.IssueToken(ctx, client.Request{Key: "once"}, manager.TokenSpec{Consumer: "w"}))
	if again.Secret != issued.Secret || issued.Secret == "" {
		t.Error("a request sent again gave another token")
	}
	next := ok[manager.Issued[manager.Token]](t)(c.RotateToken(ctx, none, issued.Object.ID, manager.TokenRotation{OverlapSeconds: 60}))
	if l := read[manager.List[manager.Token]](t)(c.Tokens(ctx, client.TokenFilter{Consumer: "w", Replaced: true, Before: time.Now().Add(time.Hour)}, page)); len(l.Items) != 1 || l.Items[0].ReplacedBy != next.Object.ID {
		t.Errorf("replaced tokens = %+v", l.Items)
	}
	ok[manager.Token](t)(c.RevokeToken(ctx, none, issued.Object.ID))
	read[manager.Token](t)(c.Token(ctx, issued.Object.ID))

	g := ok[manager.Grant](t)(c.CreateGrant(ctx, none, manager.NewGrant{Consumer: "w", Target: "t", GrantSpec: manager.GrantSpec{Tools: []string{"x"}}}))
	ok[manager.Grant](t)(c.UpdateGrant(ctx, client.Request{Version: g.Version}, g.ID, manager.GrantSpec{Tools: []string{"y"}}))
	read[manager.Grant](t)(c.Grant(ctx, g.ID))
	if l := read[manager.List[manager.Grant]](t)(c.Grants(ctx, "w", "t", page)); len(l.Items) != 1 {
		t.Errorf("grants = %+v", l.Items)
	}
	if l := read[manager.List[manager.Access]](t)(c.Access(ctx, "", "t", "y", page)); len(l.Items) != 1 || !l.Items[0].Effective {
		t.Errorf("access = %+v", l.Items)
	}

	callPolicies(t, c)

	ok[manager.Issued[manager.Gateway]](t)(c.CreateGateway(ctx, none, manager.GatewaySpec{ID: "g"}))
	ok[manager.Issued[manager.Gateway]](t)(c.RotateGateway(ctx, none, "g"))
	read[manager.Gateway](t)(c.Gateway(ctx, "g"))
	read[manager.List[manager.Gateway]](t)(c.Gateways(ctx, page))
	done(t)(c.DeleteGateway(ctx, none, "g"))
	at := ok[manager.Issued[manager.AdminToken]](t)(c.IssueAdminToken(ctx, none, manager.AdminTokenSpec{Name: "x", Role: manager.Auditor}))
	read[manager.AdminToken](t)(c.AdminToken(ctx, at.Object.ID))
	read[manager.List[manager.AdminToken]](t)(c.AdminTokens(ctx, page))
	done(t)(c.DeleteAdminToken(ctx, none, at.Object.ID))

	ok[manager.Credential](t)(c.RotateCredential(ctx, none, "k", manager.CredentialRotation{Number: 2, CredentialSealed: sealed, OverlapSeconds: 60}))
	ok[manager.Credential](t)(c.RevertCredential(ctx, none, "k"))
	ok[manager.Credential](t)(c.RetireCredential(ctx, none, "k"))
	read[manager.Credential](t)(c.Credential(ctx, "k"))
	read[manager.List[manager.Credential]](t)(c.Credentials(ctx, page))

	key, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ok[manager.SealingKey](t)(c.AddSealingKey(ctx, none, manager.SealingKeySpec{Public: key.Public().String()}))
	read[manager.SealingKey](t)(c.SealingKey(ctx, key.ID()))
	read[manager.List[manager.SealingKey]](t)(c.SealingKeys(ctx, page))
	done(t)(c.RemoveSealingKey(ctx, none, key.ID()))
	callWorkers(t, c)
	callRooms(t, c)
	callLog(t, c)

	ok[manager.Consumer](t)(c.SuspendConsumer(ctx, none, "w"))
	ok[manager.Consumer](t)(c.ResumeConsumer(ctx, none, "w"))
	ok[manager.Consumer](t)(c.RevokeConsumer(ctx, none, "w"))
	if l := read[manager.List[manager.Consumer]](t)(c.Consumers(ctx, snapshot.Revoked, page)); len(l.Items) != 1 {
		t.Errorf("revoked consumers = %+v", l.Items)
	}
	done(t)(c.RevokeGrant(ctx, none, g.ID))
	done(t)(c.DeleteConsumer(ctx, none, "w"))
	read[manager.Target](t)(c.Target(ctx, "t"))
	read[manager.List[manager.Target]](t)(c.Targets(ctx, page))
	done(t)(c.DeleteTarget(ctx, none, "t"))
	if st := read[manager.Status](t)(c.Status(ctx)); st.Consumers != 0 || st.Policy == "" {
		t.Errorf("status = %+v", st)
	}
	events := read[[]manager.Event](t)(client.All(ctx, func(ctx context.Context, p manager.Page) (manager.List[manager.Event], error) {
		p.Limit = 3
		return c.Events(ctx, client.EventFilter{Kind: manager.KindConsumer}, p)
	}))
	if len(events) != 12 {
		t.Errorf("%d events of consumers, want 12", len(events))
	}
	compare(t, a, log)
}

// A backend is one without containers.
type backend struct{ s *store.Store }

func (b backend) Status(ctx context.Context, id string) (manager.WorkerStatus, error) {
	w, err := b.s.Worker(ctx, id)
	return manager.WorkerStatus{Worker: w, Instance: &manager.Instance{Worker: id, Phase: manager.PhaseRunning}}, err
}

func (backend) Logs(context.Context, string, int) ([]byte, error) { return []byte("{a line\n"), nil }

func callWorkers(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, none := t.Context(), client.Request{}
	spec := manager.WorkerSpec{Image: "sha256:" + strings.Repeat("a", 64), Token: manager.ByFile, Labels: map[string]string{"a": "b"}}
	grants := []manager.WorkerGrant{{Target: "t", GrantSpec: manager.GrantSpec{Tools: []string{"x"}}}}
	w := ok[manager.Worker](t)(c.CreateWorker(ctx, none, manager.NewWorker{ID: "r", WorkerSpec: spec, Grants: grants}))
	if l := read[manager.List[manager.Grant]](t)(c.Grants(ctx, w.Consumer, "t", manager.Page{})); len(l.Items) != 1 || w.Task != manager.TaskCreate {
		t.Errorf("Worker = %+v, grants %+v", w, l.Items)
	}
	spec.Limits.Pids = 100
	ok[manager.Worker](t)(c.UpdateWorker(ctx, client.Request{Version: w.Version}, "r", manager.WorkerUpdate{WorkerSpec: spec}))
	ok[manager.Worker](t)(c.SuspendWorker(ctx, none, "r"))
	ok[manager.Worker](t)(c.ResumeWorker(ctx, none, "r"))
	ok[manager.Worker](t)(c.ResetWorker(ctx, none, "r"))
	ok[manager.Worker](t)(c.RotateWorker(ctx, none, "r", manager.WorkerRotation{OverlapSeconds: 60}))
	if got := read[manager.WatchedWorker](t)(c.Worker(ctx, "r")); got.Limits.Pids != 100 || got.Task != manager.TaskReset {
		t.Errorf("Worker = %+v", got)
	}
	if st := read[manager.WorkerStatus](t)(c.WorkerStatus(ctx, "r")); st.Instance == nil || st.Worker.ID != "r" {
		t.Errorf("status = %+v", st)
	}
	if b := read[[]byte](t)(c.WorkerLogs(ctx, "r", 10)); string(b) != "{a line\n" {
		t.Errorf("logs = %q", b)
	}
	if l := read[manager.List[manager.WatchedWorker]](t)(c.Workers(ctx, "", manager.Page{})); len(l.Items) != 1 {
		t.Errorf("Workers = %+v", l.Items)
	}
	if l := read[manager.List[manager.WatchedWorker]](t)(c.Workers(ctx, manager.Down, manager.Page{})); len(l.Items) != 0 {
		t.Errorf("Workers that are down = %+v", l.Items)
	}
	if got := ok[manager.Worker](t)(c.WakeWorker(ctx, none, "r")); got.Suspended {
		t.Errorf("woken: %+v", got)
	}
	if got := ok[manager.Worker](t)(c.DeleteWorker(ctx, none, "r")); got.Task != manager.TaskDelete {
		t.Errorf("deleted: %+v", got)
	}
}

func callPolicies(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, none := t.Context(), client.Request{}
	var ids []string
	for i := range 2 {
		src := manager.PolicySource{Modules: map[string]string{"p.rego": fmt.Sprintf("package keyward\n\nallow if count(input.grants) > %d\n", i)}}
		if err := c.CheckPolicy(ctx, src); err != nil {
			t.Fatal(err)
		}
		if r := read[manager.PolicyTests](t)(c.TestPolicy(ctx, src)); !r.Passed {
			t.Errorf("tests = %+v", r)
		}
		p := ok[manager.PolicyText](t)(c.CreatePolicy(ctx, none, manager.PolicySpec{PolicySource: src}))
		ids = append(ids, p.ID)
		ok[manager.Policy](t)(c.PublishPolicy(ctx, none, p.ID))
	}
	if d := read[string](t)(c.DiffPolicy(ctx, ids[0], ids[1])); !strings.Contains(d, "+allow") {
		t.Errorf("diff = %q", d)
	}
	ok[manager.Policy](t)(c.RollbackPolicy(ctx, none))
	if p := read[manager.PolicyText](t)(c.Policy(ctx, ids[0])); !p.Live {
		t.Errorf("policy = %+v, want it live", p.Policy)
	}
	if l := read[manager.List[manager.Policy]](t)(c.Policies(ctx, manager.Page{})); len(l.Items) != 2 {
		t.Errorf("policies = %+v", l.Items)
	}
	if err := c.CheckPolicy(ctx, manager.PolicySource{Modules: map[string]string{"p.rego": "package"}}); !errors.Is(err, manager.ErrInvalid) || !strings.Contains(err.Error(), "p.rego:1") {
		t.Errorf("a broken policy: %v", err)
	}
}

func compare(t *testing.T, a *api.API, log *seen) {
	t.Helper()
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(a.Spec(), &spec); err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, methods := range spec.Paths {
		for method := range methods {
			n++
			// A bundle is for OPA, which calls it itself.
			if op := strings.ToUpper(method) + " " + path; !log.ops[op] && path != "/bundles/keyward.tar.gz" {
				t.Errorf("the client never called %s", op)
			}
		}
	}
	if n < 40 {
		t.Errorf("the document has %d operations, fewer than there were", n)
	}
}

func TestErrors(t *testing.T) {
	c, _, _ := newClient(t)
	ctx := t.Context()
	if _, err := c.Consumer(ctx, "none"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	spec := manager.ConsumerSpec{ID: "w", Kind: "worker"}
	ok[manager.Consumer](t)(c.CreateConsumer(ctx, client.Request{}, spec))
	if _, _, err := c.CreateConsumer(ctx, client.Request{}, spec); !errors.Is(err, manager.ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	if _, _, err := c.UpdateConsumer(ctx, client.Request{Version: 9}, "w", manager.ConsumerUpdate{}); !errors.Is(err, manager.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
	var e *client.Error
	if _, _, err := c.CreateConsumer(ctx, client.Request{}, manager.ConsumerSpec{ID: "A", Kind: "worker"}); !errors.As(err, &e) || e.Request == "" || !errors.Is(err, manager.ErrInvalid) {
		t.Errorf("a bad id: %v", err)
	}
	for _, base := range []string{"", "manager:8700", "ftp://x", "http://x?y=1"} {
		if _, err := client.New(base, "", client.Options{}); err == nil {
			t.Errorf("New(%q) worked", base)
		}
	}
}

func TestAnswersOfSomebodyElse(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, "<html>")
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, "kwa_x", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || strings.Contains(err.Error(), "html") {
		t.Errorf("status: %v", err)
	}
	if _, err := c.Consumer(t.Context(), "x"); err == nil {
		t.Error("a page passed for a consumer")
	}
}
