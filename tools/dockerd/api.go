package dockerd

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// maxAnswer bounds an answer of the engine, in bytes.
const maxAnswer = 32 << 20

// Get returns what the engine's API answers, such as /containers/NAME/json.
func (e *Engine) Get(ctx context.Context, path string) ([]byte, error) {
	return e.Call(ctx, http.MethodGet, path, nil)
}

// Call calls the engine's API. An answer that is no success is an error.
func (e *Engine) Call(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json") // of a tar it does not matter
	res, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %.500s", method, path, res.Status, b)
	}
	return b, err
}

// A File of an image's root, which is a copy of its program.
type File struct {
	Name string
	Mode int64
}

// Image loads an image whose root is empty but for copies of a static binary, the
// first of which is run, and returns its id. Nothing is pulled.
func (e *Engine) Image(ctx context.Context, repository, binary string, files ...File) (id string, err error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(program))})
		if _, err2 := w.Write(program); errors.Join(err, err2) != nil {
			return "", errors.Join(err, err2)
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	query := url.Values{"fromSrc": {"-"}, "repo": {repository}, "tag": {"local"}, "changes": {`ENTRYPOINT ["/` + files[0].Name + `"]`}}
	answer, err := e.Call(ctx, http.MethodPost, "/images/create?"+query.Encode(), &root)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(answer)) {
		var s struct{ Status string }
		if json.Unmarshal([]byte(line), &s) == nil && strings.HasPrefix(s.Status, "sha256:") {
			return s.Status, nil
		}
	}
	return "", fmt.Errorf("the engine did not take the image: %.500s", answer)
}
