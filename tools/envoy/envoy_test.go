package envoy

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyward/plugins/live"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, Source{Snapshot: []byte(`{"format":"x"}`)}, Plugins("/opt/keyward")); err != nil {
		t.Fatal(err)
	}
	for name, wantEnv := range map[string]bool{"gate": false, "key-swap": true} {
		b, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) {
			t.Errorf("%s.json is not JSON", name)
		}
		for _, want := range []string{`"keyward-` + name + `"`, `/opt/keyward/` + name + `.wasm`, `FAIL_RELOAD`, `{\"snapshot\":{\"format\":\"x\"}}`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s.json lacks %s", name, want)
			}
		}
		if got := strings.Contains(string(b), KeysVariable); got != wantEnv {
			t.Errorf("%s may read the private keys: %v, want %v", name, got, wantEnv)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestThePluginsAreToldWhereTheManagerIs(t *testing.T) {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	manager := &live.Config{Cluster: "manager", Authority: "m\"x", Key: key, MaxStale: time.Minute}
	for name, tt := range map[string]struct {
		from Source
		snap bool
	}{
		"the Manager alone": {Source{Manager: manager}, false},
		"both":              {Source{Manager: manager, Snapshot: []byte(`{"format":"keyward.snapshot/1","epoch":"e","generation":1}`)}, true},
	} {
		s, got, err := live.ReadConfig(tt.from.config())
		if err != nil || got == nil || !reflect.DeepEqual(got, manager) || (s != nil) != tt.snap {
			t.Errorf("%s: read as %+v, %+v, %v", name, s, got, err)
		}
	}
}

func TestVersionFollowsContent(t *testing.T) {
	version := func(snapshot string) any {
		b, err := resource(Plugins("")[0], []byte(snapshot))
		if err != nil {
			t.Fatal(err)
		}
		var r map[string]any
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		return r["version_info"]
	}
	if version(`{}`) == version(`{"generation":2}`) || version(`{}`) != version(`{}`) {
		t.Error("version_info does not follow the content")
	}
}
