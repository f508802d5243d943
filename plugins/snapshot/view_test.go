package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/policies"
)

func sortEntries(s *Snapshot) {
	slices.SortFunc(s.Targets, func(a, b Target) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Consumers, func(a, b Consumer) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Credentials, func(a, b Credential) int { return strings.Compare(a.ID, b.ID) })
}

func newView(t testing.TB, s *Snapshot) *View {
	t.Helper()
	v, err := NewView(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestViewLooksUp(t *testing.T) {
	v := newView(t, newSnapshot(t))
	d, _ := digest(strings.Repeat("2", 64))
	c, token, ok := v.Consumer(d)
	if !ok || c.ID != "worker-1" || token.ID != "t2" || !token.Revoked {
		t.Errorf("Consumer = %v, %v, %v", c, token, ok)
	}
	if _, _, ok := v.Consumer([32]byte{}); ok {
		t.Error("an unknown digest has a consumer")
	}
	if c, ok := v.Credential("github-pat"); !ok || c.Version != 2 {
		t.Errorf("Credential = %v, %v", c, ok)
	}
	if v.Generation() != 7 || v.Epoch() != "e1" || v.Policy().Version != "v3" {
		t.Errorf("generation %d of %s, policy %v", v.Generation(), v.Epoch(), v.Policy())
	}
	llm, _ := v.TargetByID("llm")
	if got := CredentialFor(c, llm); got != "llm-key-worker-1" {
		t.Errorf("CredentialFor(worker-1, llm) = %q, want its own", got)
	}
	other, _ := v.ConsumerByID("worker-2")
	if got := CredentialFor(other, llm); got != "llm-key" {
		t.Errorf("CredentialFor(worker-2, llm) = %q, want the target's", got)
	}
}

func TestViewTarget(t *testing.T) {
	target := func(id string, m ...Match) Target { return Target{ID: id, Kind: policies.KindHTTP, Match: m} }
	v := newView(t, &Snapshot{Format: Format, Epoch: "e", Generation: 1, Targets: []Target{
		target("route", Match{Route: "r"}),
		target("route-deep", Match{Route: "r", Path: "/a/b"}),
		target("path", Match{Path: "/a"}),
		target("path-deeper", Match{Path: "/a/b/c"}),
		target("host", Match{Host: "h.example"}),
		target("host-path", Match{Host: "h.example", Path: "/a"}),
		target("all", Match{Route: "r", Host: "h.example", Path: "/x"}),
		target("root", Match{Host: "root.example", Path: "/"}),
	}})
	tests := []struct {
		name, route, host, path string
		want                    string
	}{
		{"nothing matches", "", "other", "/none", ""},
		{"an unknown route is as none", "zz", "other", "/a/x", "path"},
		{"a path matches itself", "", "other", "/a", "path"},
		{"a path matches what is below", "", "other", "/a/x/y/z/q", "path"},
		{"a path matches with a slash behind", "", "other", "/a/", "path"},
		{"a path matches whole segments alone", "", "other", "/ab", ""},
		{"a path counts by case", "", "other", "/A", ""},
		{"an escaped slash is no slash", "", "other", "/a%2fb", ""},
		{"the longer path wins", "", "other", "/a/b/c/d", "path-deeper"},
		{"a route beats a longer path without one", "r", "other", "/a/b/c", "route-deep"},
		{"a route alone matches every path", "r", "other", "/zz", "route"},
		{"a host beats none at the same path", "", "h.example", "/a/x", "host-path"},
		{"a longer path beats a host", "", "h.example", "/a/b/c", "path-deeper"},
		{"a host alone matches every path", "", "h.example", "/zz", "host"},
		{"all three must hold", "r", "h.example", "/x/y", "all"},
		{"all three must hold, the host does not", "r", "g.example", "/x/y", "route"},
		{"the root path is every path", "", "root.example", "/any", "root"},
		{"an empty path is not below anything", "", "other", "", ""},
		{"a request target of a star", "", "other", "*", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if target, ok := v.Target(tt.route, tt.host, tt.path); ok {
				got = target.ID
			}
			if got != tt.want {
				t.Errorf("Target(%q, %q, %q) = %q, want %q", tt.route, tt.host, tt.path, got, tt.want)
			}
		})
	}
}

func TestLoadRefusesWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		name, old, new string
		pointer        string
		line           int
		problem        string
	}{
		{"a token of two consumers", strings.Repeat("3", 64), strings.Repeat("1", 64), "/consumers/1/tokens/0/sha256", 48, "same token"},
		{"a token twice in one consumer", strings.Repeat("2", 64), strings.Repeat("1", 64), "/consumers/0/tokens/1/sha256", 34, "same token"},
		{"one match of two targets", `{"path": "/v1"}`, `{"route": "mcp-github"}`, "/targets/1/match/0", 20, "another target"},
		{"one match of two targets, written differently", `[{"path": "/v1"}]`, `[{"host": "files.example.com", "path": "/"}]`, "/targets/2/match/0", 24, "another target"},
		{"a grant on no target", `"target": "llm"`, `"target": "llama"`, "/consumers/0/grants/1/target", 43, `no target "llama"`},
		{"a grant of methods on an MCP target", `"target": "llm"`, `"target": "github"`, "/consumers/0/grants/1", 43, "methods and paths are for"},
		{"a grant of tools on an HTTP target", `"target": "github"`, `"target": "files"`, "/consumers/0/grants/0", 37, "tools, prompts"},
		{"a target without its credential", `"credential": "github-pat"`, `"credential": "gitlab-pat"`, "/targets/0/credential", 13, `no credential "gitlab-pat"`},
		{"a consumer without its credential", `"llm": "llm-key-worker-1"`, `"llm": "x"`, "/consumers/0/credentials/llm", 45, `no credential "x"`},
		{"a consumer's credential for no target", `"llm": "llm-key-worker-1"`, `"x": "llm-key"`, "/consumers/0/credentials/x", 45, `no target "x"`},
		{"a consumer's credential without a place", `"llm": "llm-key-worker-1"`, `"files": "llm-key"`, "/consumers/0/credentials/files", 45, "where a credential goes"},
		{"a delta", `"generation": 7`, `"generation": 7, "since": 6`, "/since", 4, "no whole snapshot"},
	}
	whole := string(readWhole(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(whole, tt.old, tt.new, 1)
			if doc == whole {
				t.Fatalf("%q is not in the document", tt.old)
			}
			v, err := Load([]byte(doc))
			var e *Error
			if !errors.As(err, &e) || v != nil {
				t.Fatalf("Load = %v, %v, want an *Error", v, err)
			}
			if e.Pointer != tt.pointer || e.Line != tt.line || !strings.Contains(e.Problem, tt.problem) {
				t.Errorf("error = %v\nwant line %d, %s: %s", err, tt.line, tt.pointer, tt.problem)
			}
		})
	}
}

func TestNewViewRefusesValuesThatAreNoJSON(t *testing.T) {
	for _, bad := range []any{1, 1.5, struct{}{}, []any{int64(1)}} {
		s := newSnapshot(t)
		s.Consumers[0].Grants[0].Arguments["issue_get"]["repo"] = []any{bad}
		if _, err := NewView(s); err == nil || !strings.Contains(err.Error(), "/consumers/0/grants/0/arguments/issue_get/repo") {
			t.Errorf("with %#v: error = %v", bad, err)
		}
	}
}

func TestApply(t *testing.T) {
	delta := func(change func(*Snapshot)) *Snapshot {
		d := &Snapshot{Format: Format, Epoch: "e1", Generation: 8, Since: 7, Removed: &Removed{}}
		change(d)
		return d
	}
	consumer := func(id, hexDigit string) Consumer {
		return Consumer{ID: id, Kind: "worker", State: Active, Tokens: []Token{{ID: "t9", SHA256: strings.Repeat(hexDigit, 64)}}}
	}
	tests := []struct {
		name    string
		delta   *Snapshot
		wantErr string
		lost    string // a hex digit: the token that is no longer known
		found   string // a hex digit, the owner's ID behind it
	}{
		{"nothing changes but the generation", delta(func(*Snapshot) {}), "", "", "1 worker-1"},
		{"another epoch is refused", delta(func(d *Snapshot) { d.Epoch = "e2" }), "delta of another epoch", "", ""},
		{"a gap is refused", delta(func(d *Snapshot) { d.Generation, d.Since = 9, 8 }), "does not begin at", "", ""},
		{"a replay is refused", delta(func(d *Snapshot) { d.Generation, d.Since = 7, 6 }), "does not begin at", "", ""},
		{"several generations at once", delta(func(d *Snapshot) { d.Generation = 20 }), "", "", "1 worker-1"},
		{"a whole snapshot is refused", newSnapshot(t), "no delta", "", ""},
		{"a new consumer", delta(func(d *Snapshot) { d.Consumers = []Consumer{consumer("worker-3", "4")} }), "", "", "4 worker-3"},
		{"a changed consumer loses its old tokens", delta(func(d *Snapshot) { d.Consumers = []Consumer{consumer("worker-1", "4")} }), "", "1", "4 worker-1"},
		{"a removed consumer loses its tokens", delta(func(d *Snapshot) { d.Removed.Consumers = []string{"worker-2"} }), "", "3", ""},
		{"a token moves to another consumer when its owner goes", delta(func(d *Snapshot) {
			d.Removed.Consumers = []string{"worker-2"}
			d.Consumers = []Consumer{consumer("worker-3", "3")}
		}), "", "", "3 worker-3"},
		{"a token of another consumer is refused", delta(func(d *Snapshot) { d.Consumers = []Consumer{consumer("worker-3", "3")} }), "same token", "", ""},
		{"two new consumers of one token are refused", delta(func(d *Snapshot) {
			d.Consumers = []Consumer{consumer("worker-3", "4"), consumer("worker-4", "4")}
		}), "same token", "", ""},
		{"a grant on a target that goes is refused", delta(func(d *Snapshot) { d.Removed.Targets = []string{"llm"} }), "still in use", "", ""},
		{"a target that nobody uses can go", delta(func(d *Snapshot) { d.Removed.Targets = []string{"files"} }), "", "", "1 worker-1"},
		{"a target can go with its users", delta(func(d *Snapshot) {
			d.Removed.Targets = []string{"llm"}
			d.Removed.Consumers = []string{"worker-1"}
			d.Removed.Credentials = []string{"llm-key", "llm-key-worker-1"}
		}), "", "1", "3 worker-2"},
		{"a credential in use can't go", delta(func(d *Snapshot) { d.Removed.Credentials = []string{"llm-key"} }), "still in use", "", ""},
		{"a consumer's own credential can't go", delta(func(d *Snapshot) { d.Removed.Credentials = []string{"llm-key-worker-1"} }), "still in use", "", ""},
		{"removing what is not there is refused", delta(func(d *Snapshot) { d.Removed.Targets = []string{"none"} }), "nothing of this name", "", ""},
		{"changing and removing one entry is refused", delta(func(d *Snapshot) {
			d.Consumers = []Consumer{consumer("worker-2", "4")}
			d.Removed.Consumers = []string{"worker-2"}
		}), "both changed and removed", "", ""},
		{"a target can take over the match of one that goes", delta(func(d *Snapshot) {
			d.Removed.Targets = []string{"files"}
			d.Targets = []Target{{ID: "files2", Kind: policies.KindHTTP, Match: []Match{{Host: "files.example.com"}}}}
		}), "", "", "1 worker-1"},
		{"a target can't take the match of another", delta(func(d *Snapshot) {
			d.Targets = []Target{{ID: "files2", Kind: policies.KindHTTP, Match: []Match{{Host: "files.example.com"}}}}
		}), "another target has the same match", "", ""},
		{"a target in use keeps its kind", delta(func(d *Snapshot) {
			d.Targets = []Target{{ID: "github", Kind: policies.KindHTTP, Match: []Match{{Route: "mcp-github"}}}}
		}), "can neither change its kind", "", ""},
		{"an entry in bad form is refused", delta(func(d *Snapshot) { d.Consumers = []Consumer{{ID: "x"}} }), "/consumers/0/kind", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newView(t, newSnapshot(t))
			before := dump(v)
			err := v.Apply(tt.delta)
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error = %v, want %q", err, tt.wantErr)
			}
			if err != nil {
				if d := cmp.Diff(before, dump(v)); d != "" {
					t.Errorf("a refused delta changed the view:\n%s", d)
				}
				return
			}
			if v.Generation() != tt.delta.Generation {
				t.Errorf("generation = %d, want %d", v.Generation(), tt.delta.Generation)
			}
			if d, ok := digest(strings.Repeat(tt.lost, 64)); ok {
				if c, _, still := v.Consumer(d); still {
					t.Errorf("token %s… is still %s's", tt.lost, c.ID)
				}
			}
			if digit, want, ok := strings.Cut(tt.found, " "); ok {
				d, _ := digest(strings.Repeat(digit, 64))
				if c, _, known := v.Consumer(d); !known || c.ID != want {
					t.Errorf("token %s… = %v, %v, want %s's", digit, c, known, want)
				}
			}
			checkSame(t, v)
		})
	}
}

// checkSame compares v with a view made at once from the same entries.
func checkSame(t *testing.T, v *View) {
	t.Helper()
	whole := &Snapshot{Format: Format, Epoch: v.epoch, Generation: v.generation, Policy: v.policy}
	for _, e := range v.targets {
		whole.Targets = append(whole.Targets, *e)
	}
	for _, e := range v.consumers {
		whole.Consumers = append(whole.Consumers, *e)
	}
	for _, e := range v.credentials {
		whole.Credentials = append(whole.Credentials, *e)
	}
	if d := cmp.Diff(dump(newView(t, whole)), dump(v)); d != "" {
		t.Errorf("view differs from one made at once (-want +got):\n%s", d)
	}
}

// dump is all that a view holds, for a comparison.
func dump(v *View) map[string]any {
	tokens := map[string]string{}
	for d, o := range v.tokens {
		tokens[hex.EncodeToString(d[:])] = fmt.Sprint(o.consumer.ID, " ", o.token)
	}
	matches := map[Match]string{}
	for m, t := range v.match.targets {
		matches[m] = t.ID
	}
	users := map[string]int{}
	for r, n := range v.users {
		users[fmt.Sprint(r)] = n
	}
	return map[string]any{
		"generation": v.generation, "policy": v.policy, "session key": v.sessionKey, "targets": v.targets, "consumers": v.consumers, "credentials": v.credentials,
		"tokens": tokens, "matches": matches, "depth": v.match.depth, "users": users,
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(readWhole(f))
	f.Add([]byte(`{"format":"keyward.snapshot/1","epoch":"e1","generation":8,"since":7,"removed":{"consumers":["worker-2"]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error = %T %v", err, err)
			}
			return
		}
		out := Encode(s)
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("Decode(Encode(s)): %v\n%s", err, out)
		}
		if string(Encode(again)) != string(out) {
			t.Errorf("encodings differ:\n%s\n%s", out, Encode(again))
		}
	})
}

// The law: a delta that is taken leads to the same view as a whole snapshot of
// the outcome, and one that is refused leads nowhere.
func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"format":"keyward.snapshot/1","epoch":"e1","generation":8,"since":7,"removed":{"consumers":["worker-1"],"targets":["llm"]}}`))
	f.Add([]byte(`{"format":"keyward.snapshot/1","epoch":"e1","generation":8,"since":7,"consumers":[{"id":"worker-1","kind":"worker","state":"revoked"}]}`))
	f.Add([]byte(`{"format":"keyward.snapshot/1","epoch":"e1","generation":8,"since":7,"targets":[{"id":"a","kind":"http","match":[{"path":"/"}]}]}`))
	whole := readWhole(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		delta, err := Decode(b)
		if err != nil {
			return
		}
		v, err := Load(whole)
		if err != nil {
			t.Fatal(err)
		}
		before := dump(v)
		if v.Apply(delta) != nil {
			if d := cmp.Diff(before, dump(v)); d != "" {
				t.Errorf("a refused delta changed the view:\n%s", d)
			}
			return
		}
		checkSame(t, v)
	})
}

// newLarge returns a snapshot with n consumers of one token and one grant each.
func newLarge(n int) *Snapshot {
	s := &Snapshot{Format: Format, Epoch: "e", Generation: 1}
	for i := range 1000 {
		s.Targets = append(s.Targets, Target{ID: fmt.Sprintf("t%d", i), Kind: policies.KindMCP, Match: []Match{{Path: fmt.Sprintf("/mcp/%d", i)}}})
	}
	for i := range n {
		d := sha256.Sum256(fmt.Append(nil, i))
		s.Consumers = append(s.Consumers, Consumer{
			ID: fmt.Sprintf("w%d", i), Kind: "worker", State: Active,
			Tokens: []Token{{ID: "t", SHA256: hex.EncodeToString(d[:])}},
			Grants: []Grant{{Target: fmt.Sprintf("t%d", i%1000), Grant: policies.Grant{ID: "g", Tools: []string{"a"}}}},
		})
	}
	return s
}

func BenchmarkView(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		v := newView(b, newLarge(n))
		d := sha256.Sum256([]byte("7"))
		b.Run(fmt.Sprintf("Consumer/of=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := v.Consumer(d); !ok {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("Target/of=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := v.Target("r", "h.example", "/mcp/7/messages/x"); !ok {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("Apply/of=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			delta := &Snapshot{Format: Format, Epoch: "e", Consumers: []Consumer{{ID: "w7", Kind: "worker", State: Suspended}}}
			for b.Loop() {
				delta.Since, delta.Generation = v.Generation(), v.Generation()+1
				if err := v.Apply(delta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	doc := Encode(newLarge(1000))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(doc); err != nil {
			b.Fatal(err)
		}
	}
}
