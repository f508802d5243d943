package manager_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/policies"
)

func TestRolesIncludeThoseBefore(t *testing.T) {
	roles := []manager.Role{manager.Auditor, manager.Operator, manager.Admin}
	for i, r := range roles {
		for j, other := range roles {
			if got, want := r.Includes(other), i >= j; got != want {
				t.Errorf("%s includes %s = %v, want %v", r, other, got, want)
			}
		}
		if r.Includes("") || r.Includes("root") || manager.Role("").Includes(r) || manager.Role("root").Includes(r) {
			t.Errorf("an unknown role and %s have to do with each other", r)
		}
	}
	if manager.Role("").Includes("") {
		t.Error("no role includes no role")
	}
}

func TestSecretsHaveTheirOwnPrefix(t *testing.T) {
	s, err := manager.NewSecret(manager.AdminPrefix, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !manager.ValidSecret(manager.AdminPrefix, s) || manager.ValidSecret(manager.GatewayPrefix, s) || token.Valid(s) {
		t.Errorf("an admin token passes for something else")
	}
	for _, bad := range []string{"", manager.AdminPrefix, s[:len(s)-1], s + "0", strings.Replace(s, "kwa_", "kwt_", 1)} {
		if manager.ValidSecret(manager.AdminPrefix, bad) {
			t.Errorf("ValidSecret takes %d characters that are no admin token", len(bad))
		}
	}
}

func TestIDs(t *testing.T) {
	early, err := manager.NewID("gr-", time.UnixMilli(1), bytes.NewReader(make([]byte, 10)))
	if err != nil {
		t.Fatal(err)
	}
	late, err := manager.NewID("gr-", time.UnixMilli(2), bytes.NewReader(make([]byte, 10)))
	if err != nil || early >= late || len(early) != len("gr-")+26 {
		t.Errorf("ids %q and %q, %v: want ULIDs in the order of time", early, late, err)
	}
	if _, err := manager.NewID("", time.Now(), bytes.NewReader(nil)); err == nil {
		t.Error("an id without random")
	}
}

func FuzzValidID(f *testing.F) {
	for _, s := range []string{"a", "worker-1", "a..b", "-a", "a-", "A", "", "ä", strings.Repeat("a", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// What the Manager takes as an id, every gateway takes too.
		if manager.ValidID(s) && !snapshot.ValidID(s) {
			t.Errorf("ValidID(%q)", s)
		}
	})
}

// A member that a policy sees of a grant, but that nobody can grant, would be a
// limit that can't be set.
func TestAGrantSpecHasAllMembersOfAGrant(t *testing.T) {
	spec := reflect.TypeFor[manager.GrantSpec]()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[policies.Grant]()) {
		own, ok := spec.FieldByName(f.Name)
		if f.Name != "ID" && (!ok || name(own) != name(f)) {
			t.Errorf("GrantSpec lacks %s (%s)", f.Name, name(f))
		}
	}
}

func name(f reflect.StructField) string {
	n, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return n
}

func TestErrorsNameTheObject(t *testing.T) {
	err := error(&manager.Error{Kind: manager.KindGrant, ID: "gr-1", Err: manager.ErrState, Why: "why"})
	if !errors.Is(err, manager.ErrState) || err.Error() != `grant "gr-1": not possible in its present state: why` {
		t.Errorf("error = %q", err)
	}
	pe := &manager.PolicyError{Faults: []manager.PolicyFault{{File: "a.rego", Row: 1, Column: 2, Message: "bad"}, {}}}
	if !errors.Is(pe, manager.ErrInvalid) || pe.Error() != "a.rego:1:2: bad (and 1 more)" {
		t.Errorf("policy error = %q", pe)
	}
}

func TestTargetsAreCheckedAsAGatewayWill(t *testing.T) {
	good := manager.TargetSpec{Kind: policies.KindHTTP, Match: []snapshot.Match{{Host: "a.example"}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*manager.TargetSpec){
		"match.0.host":    func(s *manager.TargetSpec) { s.Match[0].Host = "A.example" },
		"match.0":         func(s *manager.TargetSpec) { s.Match[0] = snapshot.Match{} },
		"kind":            func(s *manager.TargetSpec) { s.Kind = "ftp" },
		"mcp":             func(s *manager.TargetSpec) { s.MCP = &snapshot.MCP{} },
		"inject.name":     func(s *manager.TargetSpec) { s.Inject = &snapshot.Inject{Form: snapshot.Header, Name: "host"} },
		"upstream":        func(s *manager.TargetSpec) { s.Credential = "c"; s.Inject = &snapshot.Inject{Form: snapshot.Bearer} },
		"upstream.hosts":  func(s *manager.TargetSpec) { s.Upstream.Hosts = []string{} },
		"match":           func(s *manager.TargetSpec) { s.Match = nil },
		"inject.username": func(s *manager.TargetSpec) { s.Inject = &snapshot.Inject{Form: snapshot.Basic, Username: "a:b"} },
	} {
		s := good
		s.Match = []snapshot.Match{{Host: "a.example"}}
		change(&s)
		var fe *manager.FieldError
		if err := s.Validate(); !errors.As(err, &fe) || fe.Field != name {
			t.Errorf("error = %v, want one about %s", err, name)
		}
	}
}
