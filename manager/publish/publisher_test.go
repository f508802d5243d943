package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func resources(t *testing.T) []Resource {
	t.Helper()
	list, err := WasmPlugins(good(), binaries)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFolder(t *testing.T) {
	f, err := NewFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := resources(t)[0]
	path := filepath.Join(f.dir, "keyward-gate.yaml")
	apply := func(want ChangeKind) {
		t.Helper()
		if c, err := f.Apply(t.Context(), r); err != nil || c.Kind != want {
			t.Errorf("applied: %+v, %v; want %q", c, err, want)
		}
	}
	apply(Created)
	apply(Unchanged)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `resourceVersion: "1"`) {
		t.Errorf("no version in\n%s", text)
	}
	for name, spoil := range map[string]func(string) string{
		"fails open":         func(s string) string { return strings.Replace(s, "FAIL_CLOSE", "FAIL_OPEN", 1) },
		"is turned off":      func(s string) string { return s + "  defaultConfigDisable: true\n" },
		"has another digest": func(s string) string { return strings.Replace(s, gateSum, strings.Repeat("0", 64), 1) },
		"is not YAML":        func(string) string { return "a: [1" },
		"is another's":       func(string) string { return "kind: WasmPlugin\n" },
		"is the Console's now": func(s string) string {
			return strings.Replace(s, "labels:", "labels:\n    higress.io/resource-definer: higress", 1)
		},
	} {
		if err := os.WriteFile(path, []byte(spoil(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := f.Apply(t.Context(), r); err != nil || c.Kind != Repaired {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		apply(Unchanged)
	}
	if _, err := f.Apply(t.Context(), r); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(f.dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	if _, err := NewFolder(path); err == nil {
		t.Error("a file is a folder")
	}
}

func TestPublisherRepairsWhatOthersChange(t *testing.T) {
	f, err := NewFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan string, 64)
	p := NewPublisher(f, resources(t), PublisherOptions{
		Log: slog.New(slog.DiscardHandler),
		Changed: func(resource string, c Change, err error) {
			changes <- resource + " " + string(c.Kind)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	for _, want := range []string{"keyward-gate created", "keyward-key-swap created"} {
		if got := <-changes; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := os.Remove(filepath.Join(f.dir, "keyward-gate.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := <-changes; got != "keyward-gate created" {
		t.Errorf("after its removal: %q", got)
	}
	path := filepath.Join(f.dir, "keyward-key-swap.yaml")
	if err := os.WriteFile(path, []byte("spec: {failStrategy: FAIL_OPEN}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-changes; got != "keyward-key-swap repaired" {
		t.Errorf("after a change: %q", got)
	}
	cancel()
	<-ended
	if s := p.Status(); s.Repaired != 1 || s.Applied.IsZero() || s.Err != nil {
		t.Errorf("status = %+v", s)
	}
}

// A place that fails a number of times.
type failing struct {
	Folder
	left int
}

func (f *failing) Apply(ctx context.Context, r Resource) (Change, error) {
	if f.left--; f.left >= 0 {
		return Change{}, errors.New("not now")
	}
	return f.Folder.Apply(ctx, r)
}

func TestPublisherTriesAgain(t *testing.T) {
	dir, err := NewFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	created := make(chan struct{}, 8)
	p := NewPublisher(&failing{dir, 1}, resources(t)[:1], PublisherOptions{
		Log: slog.New(slog.DiscardHandler),
		Changed: func(_ string, _ Change, err error) {
			if err == nil {
				created <- struct{}{}
			}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	<-created
	cancel()
	<-ended
}

func TestPause(t *testing.T) {
	p := pause{first: time.Second, last: 5 * time.Second}
	var got []time.Duration
	for range 4 {
		got = append(got, p.next()/time.Second)
	}
	p.calm(time.Hour)
	got = append(got, p.next()/time.Second)
	p.reset()
	got = append(got, p.next()/time.Second)
	want := []time.Duration{1, 2, 4, 5, 5, 1}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("pauses = %v, want %v", got, want)
		}
	}
}

func TestFilesAreWhatTheResourcesName(t *testing.T) {
	srv := httptest.NewServer(Files(binaries))
	defer srv.Close()
	opt := good()
	opt.BaseURL = srv.URL + strings.TrimSuffix(FilesPath, "/")
	list, err := WasmPlugins(opt, binaries)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		res, err := http.Get(r.Spec.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		sum := sha256.Sum256(b)
		if err != nil || res.StatusCode != http.StatusOK || hex.EncodeToString(sum[:]) != r.Spec.SHA256 {
			t.Errorf("%s: %s, %d bytes, %v", r.Spec.URL, res.Status, len(b), err)
		}
		if h := res.Header; !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("ETag") != `"`+r.Spec.SHA256+`"` || h.Get("Repr-Digest") == "" {
			t.Errorf("headers = %v", h)
		}
		req, _ := http.NewRequest(http.MethodGet, r.Spec.URL, nil) // the URL was good above
		req.Header.Set("If-None-Match", res.Header.Get("ETag"))
		if res, err = http.DefaultClient.Do(req); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotModified {
			t.Errorf("asked again: %s", res.Status)
		}
	}
	for _, path := range []string{"/", "/plugins/", "/plugins/gate/000000000000/plugin.wasm", "/plugins/gate/" + gateSum[:12] + "/../x", "/plugins/key-swap/" + gateSum[:12] + "/plugin.wasm"} {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	res, err := http.Post(list[0].Spec.URL, "application/wasm", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", res.Status)
	}
}

func TestStrangeIsWhatOthersAdded(t *testing.T) {
	have := map[string]any{
		"metadata": map[string]any{"labels": map[string]any{consoleLabel: "higress", "a": "b"}},
		"spec":     map[string]any{"url": "u", "matchRules": []any{}, "pluginConfig": map[string]any{"a": int64(1), "b": map[string]any{"x": nil}}},
	}
	want := map[string]any{"spec": map[string]any{"url": "u", "pluginConfig": map[string]any{"b": map[string]any{}}}}
	patch := strange(have, want)
	spec := patch["spec"].(map[string]any)
	config := spec["pluginConfig"].(map[string]any)
	_, rules := spec["matchRules"]
	_, a := config["a"]
	_, x := config["b"].(map[string]any)["x"]
	_, label := member(member(patch, "metadata"), "labels")[consoleLabel]
	if len(spec) != 2 || !rules || !a || !x || !label {
		t.Errorf("patch = %v", patch)
	}
	if p := strange(want, want); p != nil {
		t.Errorf("nothing strange: %v", p)
	}
}
