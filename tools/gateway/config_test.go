package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goodConfig = `listeners:
  - address: 127.0.0.1:0
admin: 127.0.0.1:0
limits: {body_timeout: 5s}
clusters:
  - name: up
    urls: ["http://127.0.0.1:1"]
routes:
  - name: r
    path: /
    cluster: up
    timeout: 0s
plugins:
  - name: gate
    file: gate.wasm
    env: [{name: KEY, from_env: KEYWARD_TEST_KEY}]
    configuration: {a: [1, b]}
`

func TestParse(t *testing.T) {
	c, err := parse("dir/gateway.yaml", []byte(goodConfig))
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits.BodyTimeout != 5*time.Second || c.Limits.HeaderBytes != 60<<10 || *c.Routes[0].Timeout != 0 || c.Plugins[0].Fail != "close" {
		t.Errorf("limits %+v, route %+v, plugin %+v", c.Limits, c.Routes[0], c.Plugins[0])
	}
	if got := c.path("gate.wasm"); got != filepath.Join("dir", "gate.wasm") {
		t.Errorf("a relative file: got %q", got)
	}
	if got, err := configuration(&c.Plugins[0].Configuration); err != nil || string(got) != `{"a":[1,"b"]}` {
		t.Errorf("configuration: got %s, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(goodConfig, old) {
			t.Fatalf("no %q in the good configuration", old)
		}
		return strings.Replace(goodConfig, old, new, 1)
	}
	tests := []struct{ name, text, want string }{
		{"an empty file", "", "g.yaml:1: empty"},
		{"what is no YAML", "listeners: [", "g.yaml:1: "},
		{"an unknown name", replace("admin:", "admn:"), "g.yaml:3: field admn not found"},
		{"an unknown name deep inside", replace("from_env", "from_nev"), "g.yaml:16: field from_nev not found"},
		{"a secret in the configuration", replace("from_env: KEYWARD_TEST_KEY", "value: secret"), "g.yaml:16: field value not found"},
		{"two documents", goodConfig + "---\na: 1\n", "g.yaml: more than one document"},
		{"an address without a port", replace("address: 127.0.0.1:0", "address: localhost"), `g.yaml:2: listeners[0].address: "localhost" is not host:port`},
		{"a cluster that is not there", replace("cluster: up", "cluster: down"), `g.yaml:11: routes[0].cluster: no cluster is named "down"`},
		{"a URL with a path", replace("127.0.0.1:1", "127.0.0.1:1/v1"), "g.yaml:7: clusters[0].urls[0]: not of the form"},
		{"a URL with a password", replace("127.0.0.1:1", "u:p@127.0.0.1:1"), "g.yaml:7: clusters[0].urls[0]: not of the form"},
		{"a path without a slash", replace("path: /", "path: x"), `g.yaml:10: routes[0].path: "x" does not begin with a slash`},
		{"two routes of one match", replace("plugins:", "  - {name: s, path: /, cluster: up}\nplugins:"), `g.yaml:13: routes[1]: matches the same as route "r"`},
		{"a digest that is none", replace("file: gate.wasm", "file: gate.wasm\n    sha256: abc"), "g.yaml:16: plugins[0].sha256: not 64 hexadecimal digits"},
		{"an unknown failure policy", replace("file: gate.wasm", "file: gate.wasm\n    fail: open"), `g.yaml:16: plugins[0].fail: "open" is neither close nor reload`},
		{"a text and a snapshot", replace("configuration: {a: [1, b]}", "configuration: text\n    snapshot: s.json"), "g.yaml:14: plugins[0]: has a snapshot, so its configuration must be a mapping"},
		{"a variable without a source", replace(", from_env: KEYWARD_TEST_KEY", ""), "g.yaml:16: plugins[0].env[0]: needs either from_file or from_env"},
		{"no listener", replace("  - address: 127.0.0.1:0\n", ""), "g.yaml:1: listeners: none"},
		{"a duration without a unit", replace("timeout: 0s", "timeout: 5"), "g.yaml:12: cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("g.yaml", []byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error leaks a secret: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte("listeners: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parse("g.yaml", b); err == nil && len(c.Listeners) == 0 {
			t.Error("a configuration without a listener was accepted")
		}
	})
}

func TestReadPluginFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("p.wasm", "code")
	write("key", "secret\n")
	write("bad.json", "{\n  \"format\": 1\n}")
	c := &Config{file: filepath.Join(dir, "g.yaml")}
	good := Plugin{Name: "p", File: "p.wasm", Env: []Env{{Name: "KEY", FromFile: "key"}}}
	p, err := c.readPlugin(&good)
	if err != nil || p.Env["KEY"] != "secret" || string(p.Code) != "code" {
		t.Errorf("got %+v, %v", p, err)
	}
	tests := []struct {
		name string
		p    Plugin
		want string
	}{
		{"another digest", Plugin{File: "p.wasm", SHA256: strings.Repeat("0", 64)}, "p.wasm has SHA-256 5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b"},
		{"a missing file", Plugin{File: "q.wasm"}, "no such file"},
		{"a variable that is not set", Plugin{File: "p.wasm", Env: []Env{{Name: "K", FromEnv: "KEYWARD_TEST_UNSET"}}}, `"KEYWARD_TEST_UNSET" is not set`},
		{"a bad snapshot", Plugin{File: "p.wasm", Snapshot: "bad.json"}, filepath.Join(dir, "bad.json") + ":2:13: /format: "},
		{"a missing snapshot", Plugin{File: "p.wasm", Snapshot: "none.json"}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := c.readPlugin(&tt.p); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
