package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"keyward/manager/publish/image"
)

var (
	binaries = map[string]Binary{"gate": Binary("\x00asm gate"), "key-swap": Binary("\x00asm key-swap")}
	gateSum  = binaries["gate"].SHA256()
)

// documents marshals the resources, reads them again as Kubernetes would, and
// checks each against the definition of WasmPlugin.
func documents(t *testing.T, opt Options) []map[string]any {
	t.Helper()
	resources, err := WasmPlugins(opt, binaries)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := Marshal(resources)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/wasmplugin.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema := &jsonschema.Schema{}
	if err := json.Unmarshal(text, schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for dec := yaml.NewDecoder(bytes.NewReader(stream)); ; {
		var doc map[string]any
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, stream)
		}
		if err := resolved.Validate(doc); err != nil {
			t.Errorf("not a WasmPlugin: %v in\n%s", err, stream)
		}
		list = append(list, doc)
	}
}

func good() Options {
	return Options{BaseURL: "http://files.test/plugins", Config: []byte(`{"snapshot":{"generation":7}}`)}
}

func TestWasmPluginsAreWhatTheGatewayNeeds(t *testing.T) {
	want := []map[string]any{
		{
			"apiVersion": "extensions.higress.io/v1alpha1",
			"kind":       "WasmPlugin",
			"metadata": map[string]any{
				"name": "keyward-gate", "namespace": "higress-system",
				"labels": map[string]any{"app.kubernetes.io/part-of": "keyward"},
			},
			"spec": map[string]any{
				"pluginName":      "keyward-gate",
				"url":             "http://files.test/plugins/gate/" + gateSum[:12] + "/plugin.wasm",
				"sha256":          gateSum,
				"imagePullPolicy": "IfNotPresent",
				"phase":           "AUTHN",
				"priority":        325,
				"failStrategy":    "FAIL_CLOSE",
				"pluginConfig":    map[string]any{"snapshot": map[string]any{"generation": 7}},
			},
		},
		{
			"apiVersion": "extensions.higress.io/v1alpha1",
			"kind":       "WasmPlugin",
			"metadata": map[string]any{
				"name": "keyward-key-swap", "namespace": "higress-system",
				"labels": map[string]any{"app.kubernetes.io/part-of": "keyward"},
			},
			"spec": map[string]any{
				"pluginName":      "keyward-key-swap",
				"url":             "http://files.test/plugins/key-swap/" + binaries["key-swap"].Version() + "/plugin.wasm",
				"sha256":          binaries["key-swap"].SHA256(),
				"imagePullPolicy": "IfNotPresent",
				"phase":           "UNSPECIFIED_PHASE",
				"priority":        10,
				"failStrategy":    "FAIL_CLOSE",
				"vmConfig": map[string]any{"env": []any{
					map[string]any{"name": "KEYWARD_GATEWAY_KEYS", "valueFrom": "HOST"},
				}},
				"pluginConfig": map[string]any{"snapshot": map[string]any{"generation": 7}},
			},
		},
	}
	if diff := cmp.Diff(want, documents(t, good())); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// Higress' own values, by which the order of plugins is decided.
const (
	keyAuth, basicAuth, hmacAuth = 310, 320, 330
	aiProxy                      = 100
)

func TestOrderAmongHigressPlugins(t *testing.T) {
	gate, swap := Plugins[0], Plugins[1]
	if gate.Phase != "AUTHN" || gate.Priority <= basicAuth || gate.Priority <= keyAuth || gate.Priority >= hmacAuth {
		t.Errorf("gate is at %s %d: it must run before the plugins that it replaces, and behind those that set a consumer", gate.Phase, gate.Priority)
	}
	if swap.Phase != "UNSPECIFIED_PHASE" || swap.Priority >= aiProxy {
		t.Errorf("key-swap is at %s %d: it must run behind ai-proxy, last before the router", swap.Phase, swap.Priority)
	}
}

func TestKeysFromASecret(t *testing.T) {
	opt := good()
	opt.Namespace, opt.KeysFrom, opt.Secret = "gateways", KeysFromSecret, "keyward/gateway.keys"
	docs := documents(t, opt)
	want := map[string]any{"env": []any{map[string]any{
		"name": "KEYWARD_GATEWAY_KEYS", "valueFrom": "INLINE", "value": "${secret.keyward/gateway.keys}",
	}}}
	if diff := cmp.Diff(want, docs[1]["spec"].(map[string]any)["vmConfig"]); diff != "" {
		t.Errorf("vmConfig of key-swap (-want +got):\n%s", diff)
	}
	if env := docs[0]["spec"].(map[string]any)["vmConfig"]; env != nil {
		t.Errorf("gate, which holds no key, is given %v", env)
	}
	if got := docs[0]["metadata"].(map[string]any)["namespace"]; got != "gateways" {
		t.Errorf("namespace = %v", got)
	}
}

func TestPluginsOfAManagerAreGivenTheGatewaysToken(t *testing.T) {
	opt := good()
	opt.Live = true
	for from, want := range map[KeySource]string{
		KeysFromHost:   "[[map[name:KEYWARD_GATEWAY_TOKEN valueFrom:HOST]] [map[name:KEYWARD_GATEWAY_KEYS valueFrom:HOST] map[name:KEYWARD_GATEWAY_TOKEN valueFrom:HOST]]]",
		KeysFromSecret: "[[map[name:KEYWARD_GATEWAY_TOKEN value:${secret.a/t.k} valueFrom:INLINE]] [map[name:KEYWARD_GATEWAY_KEYS value:${secret.a/b.c} valueFrom:INLINE] map[name:KEYWARD_GATEWAY_TOKEN value:${secret.a/t.k} valueFrom:INLINE]]]",
	} {
		if opt.KeysFrom = from; from == KeysFromSecret {
			opt.Secret, opt.TokenSecret = "a/b.c", "a/t.k"
		} else {
			opt.Secret, opt.TokenSecret = "", ""
		}
		var got []any
		for _, doc := range documents(t, opt) {
			got = append(got, doc["spec"].(map[string]any)["vmConfig"].(map[string]any)["env"])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", from, got, want)
		}
	}
}

func TestImagesAreNamedByTheirManifest(t *testing.T) {
	opt := good()
	opt.BaseURL = "oci://registry.test:5000/keyward"
	spec := documents(t, opt)[0]["spec"].(map[string]any)
	img, err := image.New(binaries["gate"])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spec["url"], "oci://registry.test:5000/keyward/gate:"+gateSum[:12]; got != want {
		t.Errorf("url = %v, want %v", got, want)
	}
	if got, want := spec["sha256"], img.Digest(); got != want {
		t.Errorf("sha256 = %v, want the manifest's %v", got, want)
	}
}

func TestConfigurationArrivesUnchanged(t *testing.T) {
	config := `{"text":["yes","no","on","1","1e3","null","~","",": #","a\nb\t\"\\\u0000\u2028😀","0x1F","2026-01-01","<<"],` +
		`"yes":true,"on":null,"numbers":[0,-1,1.5,1e21,9007199254740992,1760000000],"empty":[{},[]],"nested":[[[{"a":[1]}]]]}`
	opt := good()
	opt.Config = []byte(config)
	got, err := json.Marshal(documents(t, opt)[0]["spec"].(map[string]any)["pluginConfig"])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decoded(t, []byte(config)), decoded(t, got)); diff != "" {
		t.Errorf("configuration (-sent +arrived):\n%s", diff)
	}
}

func decoded(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWasmPluginsRefuse(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Options)
		wantErr string
	}{
		{"no base URL", func(o *Options) { o.BaseURL = "" }, "scheme"},
		{"a file as base URL", func(o *Options) { o.BaseURL = "file:///opt/plugins" }, `scheme "file"`},
		{"a base URL without host", func(o *Options) { o.BaseURL = "http:///x" }, "a host and a path"},
		{"a password in the base URL", func(o *Options) { o.BaseURL = "http://u:canary@h.test/" }, "a host and a path"},
		{"a password in a broken base URL", func(o *Options) { o.BaseURL = "http://u:canary@h.test/%zz" }, "no URL"},
		{"a query in the base URL", func(o *Options) { o.BaseURL = "http://h.test/?token=canary" }, "a host and a path"},
		{"a reference in the base URL", func(o *Options) { o.BaseURL = "http://h.test/${secret.a.b}" }, "${"},
		{"no configuration", func(o *Options) { o.Config = nil }, "want one JSON object"},
		{"a configuration that is no object", func(o *Options) { o.Config = []byte(`[]`) }, "want one JSON object"},
		{"a configuration cut short", func(o *Options) { o.Config = []byte(`{"a":[1`) }, "unexpected EOF"},
		{"a second value", func(o *Options) { o.Config = []byte(`{} {}`) }, "something follows"},
		{"rubbish behind it", func(o *Options) { o.Config = []byte(`{} x`) }, "something follows"},
		{"a name that is there twice", func(o *Options) { o.Config = []byte(`{"a":1,"a":2}`) }, "duplicate"},
		{"a reference in a text", func(o *Options) { o.Config = []byte(`{"a":["${secret.x.y}"]}`) }, `/a/0: text contains "${"`},
		{"a reference in a name", func(o *Options) { o.Config = []byte(`{"${a.b.c}":1}`) }, `text contains "${"`},
		{"an escaped reference", func(o *Options) { o.Config = []byte(`{"a":"\u0024{x.y.z}"}`) }, `text contains "${"`},
		{"an integer beyond a float", func(o *Options) { o.Config = []byte(`{"a":9007199254740993}`) }, "/a: number"},
		{"a fraction beyond a float", func(o *Options) { o.Config = []byte(`{"a":0.12345678901234567891}`) }, "/a: number"},
		{"a number too large", func(o *Options) { o.Config = []byte(`{"a":1e999}`) }, "/a: number"},
		{"a number too small", func(o *Options) { o.Config = []byte(`{"a":1e-999999999}`) }, "/a: number"},
		{"a number too long", func(o *Options) { o.Config = []byte(`{"a":1` + strings.Repeat("0", 64) + `}`) }, "/a: number"},
		{"an unknown key source", func(o *Options) { o.KeysFrom = "inline" }, "neither host nor secret"},
		{"a secret that would not be used", func(o *Options) { o.Secret = "a/b.c" }, "not used"},
		{"no secret", func(o *Options) { o.KeysFrom = KeysFromSecret }, "NAMESPACE/NAME.KEY"},
		{"a token that would not be used", func(o *Options) { o.TokenSecret = "a/b.c" }, "without a Manager"},
		{"no token", func(o *Options) { o.Live, o.KeysFrom, o.Secret = true, KeysFromSecret, "a/b.c" }, "NAMESPACE/NAME.KEY"},
		{"a secret that breaks out", func(o *Options) { o.KeysFrom, o.Secret = KeysFromSecret, "a/b.c}${secret.d.e" }, "NAMESPACE/NAME.KEY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opt := good()
			tt.change(&opt)
			_, err := WasmPlugins(opt, binaries)
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error = %v, want one with %q", err, tt.wantErr)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("error shows a password: %v", err)
			}
		})
	}
	if _, err := WasmPlugins(good(), map[string]Binary{"gate": nil}); err == nil {
		t.Error("a missing module is no error")
	}
}

func TestMarshalRefusesWhatKubernetesWould(t *testing.T) {
	opt := good()
	opt.Config = []byte(`{"a":"` + strings.Repeat("x", MaxResourceBytes) + `"}`)
	resources, err := WasmPlugins(opt, binaries)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Marshal(resources); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error = %v, want one that says it is too large", err)
	}
}

// The law: whatever the configuration, it arrives as it was sent or is refused.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte(`{"a":["yes",1.5,null,{"b":"${x}"}]}`))
	f.Add([]byte(`{"\ud83d\ude00":"\u0085","e":1e300,"z":-0}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		node, err := configNode(config)
		if err != nil {
			return
		}
		text, err := yaml.Marshal(&node)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("${")) {
			t.Fatalf("a reference is left in %s", text)
		}
		var arrived any
		if err := yaml.Unmarshal(text, &arrived); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		got, err := json.Marshal(arrived)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(decoded(t, config), decoded(t, got)); diff != "" {
			t.Errorf("configuration (-sent +arrived):\n%s", diff)
		}
	})
}
