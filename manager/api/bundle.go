package api

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
)

const (
	bundleType = "application/vnd.openpolicyagent.bundles" // tells OPA that long polling works
	// maxBundleWait is within [requestTimeout].
	maxBundleWait = 25 * time.Second
)

type getBundle struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"256" doc:"ETag of what the caller has"`
	Prefer      string `header:"Prefer" maxLength:"256" doc:"wait=SECONDS: how long the answer may be held back until there is something else, at most 25"`
}

type bundleAnswer struct {
	Status      int
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"Changes with the live policy"`
	Body        []byte
}

// registerBundle lets a stock OPA run the live policy, as its bundle service:
// https://www.openpolicyagent.org/docs/management-bundles.
func (a *API) registerBundle() {
	op := operation("get-bundle", "GET /bundles/keyward.tar.gz", "The live policy as a bundle for OPA", manager.Auditor)
	op.Tags = []string{"policies"}
	binary := map[string]*huma.MediaType{bundleType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	etagHeader := map[string]*huma.Param{"ETag": {Schema: &huma.Schema{Type: "string"}, Description: "Changes with the live policy"}}
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The bundle: modules without tests, and data", Content: binary, Headers: etagHeader},
		"304": {Description: "The caller has it", Headers: etagHeader},
	}
	read(a, op, a.bundle)
}

func (a *API) bundle(ctx context.Context, in *getBundle) (*bundleAnswer, error) {
	end := time.NewTimer(preferredWait(in.Prefer))
	defer end.Stop()
	for {
		changed := a.store.Changed()
		st, err := a.store.Generation(ctx)
		if err != nil {
			return nil, err
		}
		out := &bundleAnswer{Status: http.StatusNotModified, ContentType: bundleType, ETag: strconv.Quote(st.Policy)}
		if out.ETag != in.IfNoneMatch {
			if st.Policy == "" {
				return nil, &manager.Error{Kind: manager.KindPolicy, Err: manager.ErrNotFound, Why: "none is live"}
			}
			p, err := a.store.Policy(ctx, st.Policy)
			if err != nil {
				return nil, err
			}
			out.Status = http.StatusOK
			out.Body, err = bundleOf(p)
			return out, err
		}
		select {
		case <-changed:
			continue
		case <-end.C:
		case <-a.stop:
		case <-ctx.Done():
		}
		return out, nil
	}
}

// preferredWait reads the wait preference (RFC 7240 section 4.3); what can't be
// read is none.
func preferredWait(prefer string) time.Duration {
	for _, p := range strings.FieldsFunc(prefer, func(r rune) bool { return r == ';' || r == ',' }) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(p), "wait="); ok {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, maxBundleWait)
		}
	}
	return 0
}

// bundleOf packs a policy version. The same version gives the same bytes.
func bundleOf(p manager.PolicyText) ([]byte, error) {
	manifest, err := json.Marshal(map[string]any{"revision": p.ID, "rego_version": 1})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	put := func(name string, text []byte) {
		if err == nil {
			err = t.WriteHeader(&tar.Header{Name: "/" + name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		}
		if err == nil {
			_, err = t.Write(text)
		}
	}
	put(".manifest", manifest)
	if len(p.Data) > 0 {
		put("data.json", p.Data)
	}
	for _, name := range p.Names() {
		if !strings.HasSuffix(name, "_test.rego") {
			put(name, []byte(p.Modules[name]))
		}
	}
	if err != nil {
		return nil, err
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	err = z.Close() // before the bytes are looked at
	return b.Bytes(), err
}
