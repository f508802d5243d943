package testenv

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// maxDockerAnswer bounds an answer of the engine, in bytes.
const maxDockerAnswer = 32 << 20

// Image loads an image whose root is empty but for the given static binary and
// returns its id. The program is there twice: as /NAME, which is run, and as
// /suid, which root has marked setuid.
func (d *Docker) Image(t testing.TB, name, binary string) string {
	t.Helper()
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	for _, f := range []struct {
		name string
		mode int64
	}{{name, 0o755}, {"suid", 0o4755}} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(program))})
		if _, err2 := w.Write(program); errors.Join(err, err2) != nil {
			t.Fatal(err, err2)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	query := url.Values{"fromSrc": {"-"}, "repo": {name}, "tag": {"test"}, "changes": {`ENTRYPOINT ["/` + name + `"]`}}
	answer := d.call(t, http.MethodPost, "/images/create?"+query.Encode(), &root)
	for line := range strings.Lines(string(answer)) {
		var s struct{ Status string }
		if json.Unmarshal([]byte(line), &s) == nil && strings.HasPrefix(s.Status, "sha256:") {
			return s.Status
		}
	}
	t.Fatalf("the engine did not take the image: %s", answer)
	return ""
}

// Get returns what the engine's API answers, such as /containers/NAME/json.
func (d *Docker) Get(t testing.TB, path string) []byte {
	t.Helper()
	return d.call(t, http.MethodGet, path, nil)
}

// Post calls an action of the engine's API, such as /containers/NAME/kill.
func (d *Docker) Post(t testing.TB, path string) {
	t.Helper()
	d.call(t, http.MethodPost, path, nil)
}

func (d *Docker) call(t testing.TB, method, path string, body io.Reader) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := dockerClient(strings.TrimPrefix(d.Host, "unix://")).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxDockerAnswer))
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v: %s", method, path, res.Status, err, b)
	}
	return b
}
