package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const good = `# what the gateway knows
policy: [policy.rego, data/]
targets:
  - id: github
    kind: mcp
    match: [{host: mcp.example.com, path: /github}]
    upstream: {hosts: [api.github.com]}
    credential: github
    inject: {form: bearer}
consumers:
  - id: worker-1
    kind: worker
    state: active
    labels: {team: "yes", 1: one}
    tokens:
      - id: t1
        sha256: "1111111111111111111111111111111111111111111111111111111111111111"
    grants:
      - {id: g1, target: github, tools: [issues_list], expires: 1900000000, arguments: {issues_list: {n: [1, true]}}}
credentials:
  - {"id":"github","version":1,"upstream":{"hosts":["api.github.com"]},"sealed":[{"key":"k1","data":"c2VhbGVk"}]}
`

func TestRead(t *testing.T) {
	s, err := Read([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"policy.rego", "data/"}, s.Policy); d != "" {
		t.Errorf("policy (-want +got):\n%s", d)
	}
	c, ok := v.ConsumerByID("worker-1")
	if !ok || c.Labels["team"] != "yes" || c.Labels["1"] != "one" || v.Epoch() != DefaultEpoch || v.Generation() != DefaultGeneration {
		t.Errorf("consumer %+v, epoch %q, generation %d", c, v.Epoch(), v.Generation())
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"an unknown member", "    kind: mcp", "    kinds: mcp", "line 5, column 12: /targets/0/kinds: unknown member"},
		{"a duplicate member", "    kind: mcp", "    kind: mcp\n    kind: llm", "line 6, column 5: duplicate member"},
		{"a duplicate member at the top", "consumers:", "targets:", "line 10, column 1: duplicate member"},
		{"a value out of place", "kind: mcp", "kind: [mcp]", "line 5, column 11: /targets/0/kind: must be a string"},
		{"text that YAML takes for a boolean", "state: active", "state: true", "line 13, column 12: /consumers/0/state: must be a string"},
		{"a boolean in another spelling", "n: [1, true]", "n: [1, True]", "write true or false"},
		{"a number in another spelling", "expires: 1900000000", "expires: 0x10", "write the number as in JSON"},
		{"a number with underscores", "expires: 1900000000", "expires: 1_0", "write the number as in JSON"},
		{"null", "state: active", "state:", "must be a string"},
		{"an anchor", "kind: mcp", "kind: &a mcp", "anchors are not taken"},
		{"an alias", "targets:\n", "x: &a 1\ntargets: *a\ny:\n", "are not taken"},
		{"a merge", "    kind: mcp", "    <<: {kind: mcp}", "must be plain text"},
		{"a tag", "kind: mcp", "kind: !!str mcp", "tags are not taken"},
		{"a second document", "# what", "---\na: 1\n---\n# what", "more than one YAML document"},
		{"a policy as a program", "policy: [policy.rego, data/]", "policy: {program: x}", "line 2, column 9: must be a list of policy"},
		{"what does not fit", "target: github, tools", "target: gitlab, tools", `line 19, column 26: /consumers/0/grants/0/target: there is no target "gitlab"`},
		{"no YAML", "targets:", "targets: [", "yaml:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(good, tt.old, tt.new, 1)
			s, err := Read([]byte(doc))
			if err == nil {
				_, err = s.View()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Read(b)
		if err == nil {
			_, _ = s.View()
		}
	})
}
