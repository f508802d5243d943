package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

func testConsumers(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	state := func(s snapshot.State) func(context.Context, *store.Tx) (manager.Consumer, error) {
		return func(ctx context.Context, tx *store.Tx) (manager.Consumer, error) {
			return tx.SetConsumerState(ctx, w.consumer.ID, 0, s)
		}
	}
	c := get(t, f, state(snapshot.Suspended))
	if c.State != snapshot.Suspended || c.Version != 2 {
		t.Errorf("suspended: %+v", c)
	}
	if c = get(t, f, state(snapshot.Active)); c.State != snapshot.Active {
		t.Errorf("resumed: %+v", c)
	}
	get(t, f, state(snapshot.Revoked))
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error {
		_, err := state(snapshot.Active)(ctx, tx)
		return err
	})
	l, err := f.Consumers(t.Context(), snapshot.Revoked, manager.Page{})
	if err != nil || len(l.Items) != 1 || l.Items[0].ID != w.consumer.ID {
		t.Errorf("revoked consumers = %+v, %v", l, err)
	}
	f.fails(t, manager.ErrExists, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateConsumer(ctx, consumerSpec(w.consumer.ID))
		return err
	})
	for _, spec := range []manager.ConsumerSpec{
		{ID: "Upper", Kind: "worker"},
		{ID: "a b", Kind: "worker"},
		{ID: "", Kind: "worker"},
		{ID: "ok", Kind: "robot"},
		{ID: "ok", Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{"x": "line\nbreak"}}},
		{ID: "ok", Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{"x": "\u202eright to left"}}},
	} {
		f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateConsumer(ctx, spec)
			return err
		})
	}
}

func testDeleteConsumer(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	f.fails(t, manager.ErrVersion, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteConsumer(ctx, w.consumer.ID, 99)
	})
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteConsumer(ctx, w.consumer.ID, 0) })
	if _, err := f.Token(t.Context(), w.token.Object.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("token of a deleted consumer: %v", err)
	}
	if _, err := f.Grant(t.Context(), w.grant.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("grant of a deleted consumer: %v", err)
	}
	f.fails(t, manager.ErrDeleted, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateConsumer(ctx, consumerSpec(w.consumer.ID))
		return err
	})
}

func testTargets(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	create := func(n manager.NewTarget) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateTarget(ctx, n)
			return err
		}
	}
	same := targetSpec("twin", "github-main")
	same.Match = w.target.Match
	f.fails(t, manager.ErrInvalid, create(same))
	f.fails(t, manager.ErrInvalid, create(targetSpec("other", "no-such-credential")))
	anywhere := targetSpec("other", "github-main")
	anywhere.Upstream = snapshot.Upstream{}
	f.fails(t, manager.ErrInvalid, create(anywhere))
	anywhere.Upstream = snapshot.Upstream{Hosts: []string{}}
	f.fails(t, manager.ErrInvalid, create(anywhere))
	dots := targetSpec("other", "")
	dots.Match = []snapshot.Match{{Path: "/a/../b"}}
	f.fails(t, manager.ErrInvalid, create(dots))

	spec := w.target.TargetSpec
	spec.Labels = map[string]string{"tier": "gold"}
	got := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Target, error) {
		return tx.UpdateTarget(ctx, "github", w.target.Version, spec)
	})
	if diff := cmp.Diff(spec, got.TargetSpec); diff != "" || got.Version != 2 {
		t.Errorf("updated target has version %d (-want +got):\n%s", got.Version, diff)
	}
	for name, change := range map[string]func(*manager.TargetSpec){
		"another kind":      func(s *manager.TargetSpec) { s.Kind = policies.KindHTTP },
		"without injection": func(s *manager.TargetSpec) { s.Inject, s.Credential = nil, "" },
	} {
		changed := spec
		change(&changed)
		if _, err := f.try(t, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.UpdateTarget(ctx, "github", 0, changed)
			return err
		}); !errors.Is(err, manager.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, manager.ErrInvalid)
		}
	}
}

func testDeleteTarget(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.CreateCredential(ctx, credentialSpec("own")); err != nil {
			return err
		}
		_, err := tx.SetOverride(ctx, w.consumer.ID, 0, "github", "own")
		return err
	})
	before, err := f.Consumer(t.Context(), w.consumer.ID)
	if err != nil || before.Credentials["github"] != "own" {
		t.Fatalf("consumer = %+v, %v, want its own credential", before, err)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTarget(ctx, "github", 0) })
	after, err := f.Consumer(t.Context(), w.consumer.ID)
	if err != nil || len(after.Credentials) != 0 || after.Version == before.Version {
		t.Errorf("consumer = %+v, %v, want no own credential and another version", after, err)
	}
	if _, err := f.Grant(t.Context(), w.grant.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("grant for a deleted target: %v", err)
	}
	f.fails(t, manager.ErrDeleted, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateTarget(ctx, targetSpec("github", ""))
		return err
	})
	// Its matches are free again.
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		n := targetSpec("github-2", "")
		n.Match = w.target.Match
		_, err := tx.CreateTarget(ctx, n)
		return err
	})
}

func testCredentials(t *testing.T, f *fixture) {
	newWorld(t, f)
	wire := func() snapshot.Credential {
		t.Helper()
		s, err := f.Snapshot(t.Context())
		if err != nil || len(s.Credentials) != 1 {
			t.Fatalf("credentials on the wire = %+v, %v, want one", s.Credentials, err)
		}
		return s.Credentials[0]
	}
	rotate := func(number uint64, text string, overlap time.Duration) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.RotateCredential(ctx, "github-main", 0, manager.CredentialRotation{
				Number: number, CredentialSealed: sealed(text), OverlapSeconds: int64(overlap / time.Second),
			})
			return err
		}
	}
	f.fails(t, manager.ErrInvalid, rotate(3, "x", 0)) // sealed as a version that it would not be
	f.must(t, rotate(2, "second", time.Hour))
	if w := wire(); w.Version != 2 || string(w.Sealed[0].Data) != "second" {
		t.Errorf("after rotation the wire has %+v", w)
	}
	c, err := f.Credential(t.Context(), "github-main")
	if err != nil || len(c.Versions) != 2 || c.Versions[0].Number != 2 || c.Next != 3 {
		t.Fatalf("credential = %+v, %v, want versions 2 and 1", c, err)
	}
	revert := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RevertCredential(ctx, "github-main", 0)
		return err
	}
	f.must(t, revert)
	if w := wire(); w.Version != 1 || string(w.Sealed[0].Data) != "first" {
		t.Errorf("after going back the wire has %+v", w)
	}
	f.fails(t, manager.ErrState, revert)
	f.must(t, rotate(3, "third", time.Hour))
	f.advance(time.Hour)
	f.fails(t, manager.ErrState, revert) // the overlap is over
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.must(t, rotate(4, "fourth", 0))
	f.fails(t, manager.ErrState, revert)
	f.fails(t, manager.ErrExists, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateCredential(ctx, credentialSpec("github-main"))
		return err
	})
}

// testRetireCredential is about a consumer whose own credential is retired: it
// must not get the target's instead.
func testRetireCredential(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.CreateCredential(ctx, credentialSpec("own")); err != nil {
			return err
		}
		_, err := tx.SetOverride(ctx, w.consumer.ID, 0, "github", "own")
		return err
	})
	retire := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RetireCredential(ctx, "own", 0)
		return err
	}
	f.must(t, retire)
	s, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := snapshot.NewView(&s)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := v.ConsumerByID(w.consumer.ID)
	target, _ := v.TargetByID("github")
	if id := snapshot.CredentialFor(c, target); id != "own" {
		t.Errorf("the consumer uses credential %q, want its retired one", id)
	}
	cred, _ := v.Credential("own")
	if cred.Version != 2 || len(cred.Sealed) != 1 || cred.Sealed[0].Key != "retired" {
		t.Errorf("the retired credential is %+v on the wire, want one that nothing opens", cred)
	}
	f.fails(t, manager.ErrState, retire)
	f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateTarget(ctx, targetSpec("other", "own"))
		return err
	})
}

func testGrants(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	create := func(spec manager.GrantSpec) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateGrant(ctx, manager.NewGrant{Consumer: "alice-bot", Target: "github", GrantSpec: spec})
			return err
		}
	}
	for name, spec := range map[string]manager.GrantSpec{
		"for another kind of target":   {Paths: []string{"/x"}},
		"an empty list of methods":     {Methods: []string{}},
		"all tools and one":            {Tools: []string{"*", "x"}},
		"an end that has passed":       {Tools: []string{"x"}, Expires: start},
		"an end that floors to never":  {Tools: []string{"x"}, Expires: time.Unix(0, 1)},
		"a tool with a line break":     {Tools: []string{"a\nb"}},
		"a constraint that isn't JSON": {Arguments: map[string]map[string][]json.RawMessage{"x": {"y": {json.RawMessage("{")}}}},
	} {
		t.Run(name, func(t *testing.T) { f.fails(t, manager.ErrInvalid, create(spec)) })
	}
	long := json.RawMessage("9007199254740993") // no float64 has this value
	spec := manager.GrantSpec{
		Tools:     []string{"get_issue"},
		Arguments: map[string]map[string][]json.RawMessage{"get_issue": {"id": {long}}},
		Expires:   start.Add(time.Hour + 900*time.Millisecond),
	}
	g := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Grant, error) {
		return tx.UpdateGrant(ctx, w.grant.ID, w.grant.Version, spec)
	})
	if !g.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("the grant ends at %v, want the full second", g.Expires)
	}
	s, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wire := s.Consumers[0].Grants[0]
	want := snapshot.Grant{Target: "github", Grant: policies.Grant{
		ID: w.grant.ID, Tools: []string{"get_issue"}, Expires: start.Add(time.Hour).Unix(),
		Arguments: map[string]map[string][]any{"get_issue": {"id": {policies.Number(long)}}},
	}}
	if diff := cmp.Diff(want, wire); diff != "" {
		t.Errorf("grant on the wire (-want +got):\n%s", diff)
	}
	f.fails(t, manager.ErrVersion, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.UpdateGrant(ctx, w.grant.ID, w.grant.Version, spec)
		return err
	})
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.RevokeGrant(ctx, w.grant.ID, 0) })
	f.fails(t, manager.ErrNotFound, func(ctx context.Context, tx *store.Tx) error { return tx.RevokeGrant(ctx, w.grant.ID, 0) })
}

func testAccess(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	why := func(filter store.GrantFilter, tool string) []string {
		t.Helper()
		l, err := f.Access(t.Context(), filter, tool, manager.Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, a := range l.Items {
			if a.Effective != (a.Why == "") {
				t.Errorf("access %+v contradicts itself", a)
			}
			got = append(got, a.Why)
		}
		return got
	}
	check := func(name string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("all", why(store.GrantFilter{}, ""), "")
	check("by consumer", why(store.GrantFilter{Consumer: "alice-bot", Target: "github"}, "search"), "")
	check("another tool", why(store.GrantFilter{Target: "github"}, "delete_repo"), []string{}...)
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RevokeToken(ctx, w.token.Object.ID, 0)
		return err
	})
	check("without token", why(store.GrantFilter{}, ""), "no_live_token")
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, w.consumer.ID, 0, snapshot.Suspended)
		return err
	})
	check("suspended", why(store.GrantFilter{}, ""), "consumer_suspended")
}

func testPolicies(t *testing.T, f *fixture) {
	spec := func(text string) manager.PolicySpec {
		return manager.PolicySpec{PolicySource: manager.PolicySource{
			Modules: map[string]string{"policy.rego": text}, Data: json.RawMessage(`{"a":1}`),
		}}
	}
	var ids []string
	for _, text := range []string{"package a", "package b", "package c"} {
		p := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.PolicyText, error) {
			return tx.CreatePolicy(ctx, spec(text))
		})
		ids = append(ids, p.ID)
	}
	if s, err := f.Snapshot(t.Context()); err != nil || s.Policy != nil {
		t.Errorf("before publishing the wire has policy %+v, %v", s.Policy, err)
	}
	if _, err := f.PreviousPolicy(t.Context()); !errors.Is(err, manager.ErrState) {
		t.Errorf("previous of none: %v, want %v", err, manager.ErrState)
	}
	for _, id := range []string{ids[0], ids[2]} { // the second never goes live
		f.must(t, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PublishPolicy(ctx, id, 0, []byte("program of "+id))
			return err
		})
	}
	s, err := f.Snapshot(t.Context())
	if err != nil || s.Policy == nil || s.Policy.Version != ids[2] || string(s.Policy.Program) != "program of "+ids[2] {
		t.Errorf("the wire has policy %+v, %v, want %s", s.Policy, err, ids[2])
	}
	if id, err := f.PreviousPolicy(t.Context()); err != nil || id != ids[0] {
		t.Errorf("previous = %q, %v, want %q", id, err, ids[0])
	}
	p, err := f.Policy(t.Context(), ids[2])
	if diff := cmp.Diff(spec("package c").PolicySource, p.PolicySource); err != nil || diff != "" || !p.Live {
		t.Errorf("policy live=%v, %v (-want +got):\n%s", p.Live, err, diff)
	}
	l, err := f.Policies(t.Context(), manager.Page{})
	if err != nil || len(l.Items) != 3 || !l.Items[2].Live || l.Items[0].Live || l.Items[0].Published.IsZero() {
		t.Errorf("policies = %+v, %v", l.Items, err)
	}
	for _, bad := range []manager.PolicySource{
		{},
		{Modules: map[string]string{"../x.rego": ""}},
		{Modules: map[string]string{"x.txt": ""}},
		{Modules: map[string]string{"x.rego": ""}, Data: json.RawMessage(`[]`)},
	} {
		f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: bad})
			return err
		})
	}
}

func testGateways(t *testing.T, f *fixture) {
	g := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Issued[manager.Gateway], error) {
		return tx.CreateGateway(ctx, manager.GatewaySpec{ID: "gw-1"})
	})
	if id, err := f.AuthenticateGateway(t.Context(), g.Secret); err != nil || id != "gw-1" {
		t.Errorf("authenticate = %q, %v", id, err)
	}
	if _, err := f.AuthenticateGateway(t.Context(), g.Secret+"x"); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("authenticate with a wrong token: %v", err)
	}
	st, err := f.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check := func(connection string, behind uint64) {
		t.Helper()
		got, err := f.Gateway(t.Context(), "gw-1")
		if err != nil || got.Connection != connection || got.Behind != behind {
			t.Errorf("gateway = %+v, %v, want %s, %d behind", got, err, connection, behind)
		}
	}
	check("never", st.Generation)
	if err := f.SeenGateway(t.Context(), "gw-1", manager.GatewayInstance{ID: "i1", Build: "gate-1", Epoch: st.Epoch, Confirmed: st.Generation}); err != nil {
		t.Fatal(err)
	}
	check("connected", 0)
	if l, err := f.Gateways(t.Context(), manager.Page{}); err != nil || len(l.Items) != 1 || len(l.Items[0].Builds) != 1 || l.Items[0].Builds[0] != "gate-1" {
		t.Errorf("gateways = %+v, %v", l, err)
	}
	newWorld(t, f)
	check("connected", 1)
	f.advance(manager.GatewayLost + time.Second)
	check("lost", 1)
	again := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Issued[manager.Gateway], error) {
		return tx.RotateGateway(ctx, "gw-1", 0)
	})
	if _, err := f.AuthenticateGateway(t.Context(), g.Secret); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("the token before rotation: %v", err)
	}
	if _, err := f.AuthenticateGateway(t.Context(), again.Secret); err != nil {
		t.Errorf("the token after rotation: %v", err)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteGateway(ctx, "gw-1", 0) })
	if _, err := f.AuthenticateGateway(t.Context(), again.Secret); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("the token of a deleted gateway: %v", err)
	}
}
