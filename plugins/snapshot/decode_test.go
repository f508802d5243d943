package snapshot

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/policies"
)

func readWhole(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newSnapshot(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Decode(readWhole(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDecodeReadsEveryMember(t *testing.T) {
	s := newSnapshot(t)
	want := Target{
		ID: "github", Kind: policies.KindMCP, Labels: map[string]string{"team": "core"},
		Match:      []Match{{Route: "mcp-github"}, {Host: "mcp.example.com", Path: "/github/mcp"}},
		Upstream:   Upstream{Clusters: []string{"outbound|443||github"}, Hosts: []string{"api.github.com"}},
		Credential: "github-pat", Inject: &Inject{Form: Bearer},
		MCP: &MCP{Revisions: []string{"2025-11-25"}, Origins: []string{"https://console.example.com"}},
	}
	if d := cmp.Diff(want, s.Targets[0]); d != "" {
		t.Errorf("target (-want +got):\n%s", d)
	}
	wantGrant := Grant{Target: "github", Grant: policies.Grant{
		ID: "g1", Tools: []string{"issues_list", "issue_get"},
		Arguments: map[string]map[string][]any{"issue_get": {
			"repo":   {"a/b"},
			"number": {policies.Number("12345678901234567890"), policies.Number("1.50"), true, nil, map[string]any{"x": []any{policies.Number("1")}}},
		}},
	}}
	if d := cmp.Diff(wantGrant, s.Consumers[0].Grants[0]); d != "" {
		t.Errorf("grant (-want +got):\n%s", d)
	}
	wantCredential := Credential{
		ID: "github-pat", Version: 2, Upstream: Upstream{Hosts: []string{"api.github.com"}},
		Sealed: []Sealed{{"k1", []byte("sealed")}, {"k2", []byte("sealed")}},
	}
	if d := cmp.Diff(wantCredential, s.Credentials[0]); d != "" {
		t.Errorf("credential (-want +got):\n%s", d)
	}
	if s.Epoch != "e1" || s.Generation != 7 || s.Policy.Version != "v3" || string(s.Policy.Program) != "program" {
		t.Errorf("epoch %q, generation %d, policy %+v", s.Epoch, s.Generation, s.Policy)
	}
}

// Each row changes the good document at one place.
func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name, old, new string
		pointer        string
		line           int
		problem        string
	}{
		{"an unknown member", `"epoch": "e1"`, `"epoch": "e1", "extra": 1`, "/extra", 3, "unknown member"},
		{"a member in another case", `"kind": "mcp"`, `"Kind": "mcp"`, "/targets/0/Kind", 9, "unknown member"},
		{"a duplicate member", `"generation": 7`, `"generation": 7, "generation": 8`, "/generation", 4, "duplicate member"},
		{"a duplicate member under an escape", `"kind": "mcp"`, `"kind": "mcp", "k\u0069nd": "llm"`, "/targets/0/kind", 9, "duplicate member"},
		{"a duplicate label", `"team": "core"`, `"team": "core", "team": "x"`, "/targets/0/labels/team", 10, "duplicate member"},
		{"a duplicate argument", `"repo": ["a/b"]`, `"repo": ["a/b"], "repo": ["*"]`, "/consumers/0/grants/0/arguments/issue_get/repo", 41, "duplicate member"},
		{"null", `"epoch": "e1"`, `"epoch": null`, "/epoch", 3, "must be a string"},
		{"a string for a number", `"generation": 7`, `"generation": "7"`, "/generation", 4, "must be a whole number"},
		{"a fraction for a whole number", `"generation": 7`, `"generation": 7.0`, "/generation", 4, "not a whole number"},
		{"a negative generation", `"generation": 7`, `"generation": -7`, "/generation", 4, "not a whole number"},
		{"a number for a boolean", `"revoked": true`, `"revoked": 1`, "/consumers/0/tokens/1/revoked", 34, "must be true or false"},
		{"an object for an array", `"targets": [`, `"targets": {"a": [], `, "/targets", 6, "must be an array"},
		{"two documents", "  ]\n}\n", "  ]\n}\n{}", "", 56, "more than one JSON value"},
		{"a document cut short", "\n  ]\n}\n", "\n  ]", "/credentials", 54, "the document ends too early"},
		{"what is no JSON", `"epoch": "e1"`, `"epoch": e1`, "/epoch", 3, "not valid JSON"},
		{"what is no UTF-8", `"core"`, "\"\xff\"", "/targets/0/labels/team", 10, "not valid JSON"},
		{"base64 without padding", `"cHJvZ3JhbQ=="`, `"cHJvZ3JhbQ"`, "/policy/program", 5, "not base64"},
		{"base64 with a line break", `"cHJvZ3JhbQ=="`, `"cHJv\nZ3JhbQ=="`, "/policy/program", 5, "not base64"},
		{"a value nested too deep", `{"x": [1]}`, strings.Repeat("[", 10) + strings.Repeat("]", 10), "/consumers/0/grants/0/arguments/issue_get/number/4/0/0/0/0/0/0/0", 41, "nested too deeply"},
		{"a number too long to mean one", `1.50`, strings.Repeat("1", 65), "/consumers/0/grants/0/arguments/issue_get/number/1", 41, "number of more than"},

		{"another format", `keyward.snapshot/1`, `keyward.snapshot/2`, "/format", 2, "must be"},
		{"no epoch", `"epoch": "e1",`, ``, "/epoch", 1, "is missing"},
		{"generation zero", `"generation": 7`, `"generation": 0`, "/generation", 4, "must be 1 or more"},
		{"since at the generation", `"generation": 7`, `"generation": 7, "since": 7`, "/since", 4, "must be smaller"},
		{"removals in a whole snapshot", `"generation": 7`, `"generation": 7, "removed": {}`, "/removed", 4, "only a delta"},
		{"a policy without a program", `"program": "cHJvZ3JhbQ=="`, `"program": ""`, "/policy/program", 5, "is missing"},
		{"an ID in upper case", `"id": "files"`, `"id": "Files"`, "/targets/2/id", 24, "must be 1 to 128"},
		{"an ID with a slash", `"id": "files"`, `"id": "a/b"`, "/targets/2/id", 24, "must be 1 to 128"},
		{"an ID with a line break", `"id": "files"`, `"id": "a\nb"`, "/targets/2/id", 24, "must be 1 to 128"},
		{"an ID that begins with a dot", `"id": "files"`, `"id": ".a"`, "/targets/2/id", 24, "must be 1 to 128"},
		{"an ID too long", `"id": "files"`, `"id": "` + strings.Repeat("a", 129) + `"`, "/targets/2/id", 24, "longer than 128"},
		{"two targets of one ID", `"id": "files"`, `"id": "llm"`, "/targets/2", 24, "duplicate target"},
		{"two consumers of one ID", `"id": "worker-2"`, `"id": "worker-1"`, "/consumers/1", 47, "duplicate consumer"},
		{"two credentials of one ID", `"id": "llm-key",`, `"id": "github-pat",`, "/credentials/1", 52, "duplicate credential"},
		{"an unknown kind of target", `"kind": "llm"`, `"kind": "tcp"`, "/targets/1/kind", 19, "must be mcp"},
		{"a target that nothing matches", `"match": [{"path": "/v1"}]`, `"match": []`, "/targets/1/match", 20, "at least one match"},
		{"a target that everything matches", `{"path": "/v1"}`, `{}`, "/targets/1/match/0", 20, "at least one of route"},
		{"one match twice in a target", `{"path": "/v1"}`, `{"path": "/v1"}, {"path": "/v1"}`, "/targets/1/match/1", 20, "duplicate match"},
		{"a host in upper case", `"host": "files.example.com"`, `"host": "Files.example.com"`, "/targets/2/match/0/host", 24, "must be a lower-case host"},
		{"a host with a port", `"host": "files.example.com"`, `"host": "files.example.com:443"`, "/targets/2/match/0/host", 24, "without port"},
		{"a path without a slash", `"path": "/v1"`, `"path": "v1"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"a path with a slash at its end", `"path": "/v1"`, `"path": "/v1/"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"a path with an empty segment", `"path": "/v1"`, `"path": "//v1"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"a path that goes up", `"path": "/v1"`, `"path": "/v1/../x"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"a path with an escape", `"path": "/v1"`, `"path": "/v%31"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"a path with a query", `"path": "/v1"`, `"path": "/v1?x"`, "/targets/1/match/0/path", 20, "must be a path"},
		{"an upstream list that would not restrict", `"hosts": ["api.github.com"]},
      "credential"`, `"hosts": []},
      "credential"`, "/targets/0/upstream/hosts", 12, "must not be empty"},
		{"a credential without a place", `"inject": {"form": "bearer"},`, ``, "/targets/0/inject", 7, "is missing"},
		{"an unknown form", `"form": "bearer"`, `"form": "cookie"`, "/targets/0/inject/form", 14, "must be bearer"},
		{"a header name for bearer", `"form": "bearer"`, `"form": "bearer", "name": "x"`, "/targets/0/inject/name", 14, "only for the forms"},
		{"a user name for a header", `"prefix": "Key "`, `"username": "u"`, "/targets/1/inject/username", 22, "only for the form basic"},
		{"the header form without a name", `"name": "x-api-key", `, ``, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a pseudo-header", `"x-api-key"`, `":authority"`, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a header that frames", `"x-api-key"`, `"transfer-encoding"`, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a header that frames, with an underscore", `"x-api-key"`, `"content_length"`, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a header of the gateway's own", `"x-api-key"`, `"x-envoy-original-path"`, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a header in upper case", `"x-api-key"`, `"X-Api-Key"`, "/targets/1/inject/name", 22, "must be the lower-case name"},
		{"a prefix that splits the header", `"Key "`, `"Key\r\nx: y"`, "/targets/1/inject/prefix", 22, "without control"},
		{"an unknown revision", `"2025-11-25"`, `"2025-11-26"`, "/targets/0/mcp/revisions/0", 15, "must be one of"},
		{"a revision list that would not restrict", `["2025-11-25"]`, `[]`, "/targets/0/mcp/revisions", 15, "must not be empty"},
		{"any origin", `"https://console.example.com"`, `"*"`, "/targets/0/mcp/origins/0", 15, "must be an origin"},
		{"settings of MCP for another kind", `"kind": "mcp"`, `"kind": "http"`, "/targets/0/mcp", 15, "only for kind mcp"},
		{"an unknown kind of consumer", `"kind": "worker",
      "labels"`, `"kind": "robot",
      "labels"`, "/consumers/0/kind", 29, "must be worker"},
		{"an unknown state", `"state": "suspended"`, `"state": "paused"`, "/consumers/1/state", 47, "must be active"},
		{"a digest in upper case", strings.Repeat("3", 64), strings.Repeat("A", 64), "/consumers/1/tokens/0/sha256", 48, "64 lower-case hex"},
		{"a digest too short", strings.Repeat("3", 64), strings.Repeat("3", 63), "/consumers/1/tokens/0/sha256", 48, "64 lower-case hex"},
		{"two tokens of one ID", `"id": "t2"`, `"id": "t1"`, "/consumers/0/tokens/1", 34, "duplicate token"},
		{"two grants of one ID", `"id": "g2"`, `"id": "g1"`, "/consumers/0/grants/1", 43, "duplicate grant"},
		{"a negative end", `"expires": 1900000001`, `"expires": -1`, "/consumers/0/grants/1/expires", 43, "must not be negative"},
		{"a method list that would allow every one", `["POST"]`, `[]`, "/consumers/0/grants/1/methods", 43, "must not be empty"},
		{"a path list that would allow every one", `["/v1/chat/completions"]`, `[]`, "/consumers/0/grants/1/paths", 43, "must not be empty"},
		{"a method in lower case", `["POST"]`, `["post"]`, "/consumers/0/grants/1/methods/0", 43, "must be an HTTP method"},
		{"credential version zero", `"version": 2`, `"version": 0`, "/credentials/0/version", 51, "must be 1 or more"},
		{"a credential that nothing opens", `"sealed": [{"key": "k1", "data": "c2VhbGVk"}]},
`, `"sealed": []},
`, "/credentials/1/sealed", 52, "at least one sealing"},
		{"one gateway key twice", `"key": "k2"`, `"key": "k1"`, "/credentials/0/sealed/1", 51, "duplicate gateway key"},
	}
	whole := string(readWhole(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(whole, tt.old, tt.new, 1)
			if doc == whole {
				t.Fatalf("%q is not in the document", tt.old)
			}
			_, err := Decode([]byte(doc))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error = %v, want an *Error", err)
			}
			if e.Pointer != tt.pointer || e.Line != tt.line || !strings.Contains(e.Problem, tt.problem) {
				t.Errorf("error = %v\nwant line %d, %s: %s", err, tt.line, tt.pointer, tt.problem)
			}
		})
	}
}

func TestErrorSaysWhere(t *testing.T) {
	_, err := Decode([]byte("{\n  \"format\": 1}"))
	const want = `line 2, column 13: /format: must be a string`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// A document that ends anywhere is refused, and the place can be named.
func TestDecodeRefusesEveryPrefix(t *testing.T) {
	whole := strings.TrimSpace(string(readWhole(t)))
	for i := range whole {
		var e *Error
		if _, err := Decode([]byte(whole[:i])); !errors.As(err, &e) || e.Line == 0 {
			t.Fatalf("the first %d bytes: error = %v", i, err)
		}
	}
}

func TestDecodeRefusesTooMuch(t *testing.T) {
	if _, err := Decode(make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error = %v", err)
	}
	many := `{"id":"a","kind":"http","match":[` + strings.Repeat(`{"path":"/x"},`, MaxMatches) + `{"path":"/x"}]}`
	if _, err := DecodeTarget([]byte(many)); err == nil || !strings.Contains(err.Error(), "more than 64 elements") {
		t.Errorf("error = %v", err)
	}
}

func TestDecodeConfig(t *testing.T) {
	whole := string(readWhole(t))
	tests := []struct {
		name, in, wantErr string
	}{
		{"a snapshot alone", `{"snapshot": ` + whole + `}`, ""},
		{"nothing", ``, "the document ends too early"},
		{"no snapshot", `{}`, `"snapshot" is missing`},
		{"another member", `{"snapshot": ` + whole + `, "keys": []}`, "unknown member"},
		{"two snapshots", `{"snapshot": ` + whole + `, "snapshot": ` + whole + `}`, "duplicate member"},
		{"a bad entry", `{"snapshot": ` + strings.Replace(whole, "suspended", "paused", 1) + `}`, "line 47, column 51: /snapshot/consumers/1/state: must be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeConfig([]byte(tt.in), nil)
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error = %v, want %q", err, tt.wantErr)
			}
		})
	}
}

func TestEncodeIsDeterministicAndComplete(t *testing.T) {
	s := newSnapshot(t)
	first := Encode(s)
	again, err := Decode(first)
	if err != nil {
		t.Fatalf("Decode(Encode(s)): %v\n%s", err, first)
	}
	sortEntries(s)
	if d := cmp.Diff(s, again); d != "" {
		t.Errorf("round trip (-want +got):\n%s", d)
	}
	if d := cmp.Diff(string(first), string(Encode(again))); d != "" {
		t.Errorf("second encoding differs:\n%s", d)
	}
}

func TestEntriesAloneRoundTrip(t *testing.T) {
	s := newSnapshot(t)
	for i := range s.Targets {
		got, err := DecodeTarget(EncodeTarget(&s.Targets[i]))
		if d := cmp.Diff(&s.Targets[i], got); d != "" || err != nil {
			t.Errorf("target: %v (-want +got):\n%s", err, d)
		}
	}
	for i := range s.Consumers {
		got, err := DecodeConsumer(EncodeConsumer(&s.Consumers[i]))
		if d := cmp.Diff(&s.Consumers[i], got); d != "" || err != nil {
			t.Errorf("consumer: %v (-want +got):\n%s", err, d)
		}
	}
	for i := range s.Credentials {
		got, err := DecodeCredential(EncodeCredential(&s.Credentials[i]))
		if d := cmp.Diff(&s.Credentials[i], got); d != "" || err != nil {
			t.Errorf("credential: %v (-want +got):\n%s", err, d)
		}
	}
}
