package api_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

const bundleRoute = "GET /bundles/keyward.tar.gz"

// publish keeps and publishes a policy, and returns its id.
func (s *server) publish(t *testing.T, policy string) string {
	t.Helper()
	id := s.must(t, 201, s.operator, "POST /v1/policies", policy).field(t, "id")
	s.must(t, 200, s.admin, "POST /v1/policies/"+id+"/publish", "")
	return id
}

func TestTheBundleIsTheLivePolicy(t *testing.T) {
	s := newServer(t)
	s.must(t, 401, "", bundleRoute, "")
	s.must(t, 404, s.auditor, bundleRoute, "")
	id := s.publish(t, `{"modules":{"policy.rego":"package keyward\n\nallow if false\n","a/b_test.rego":"package keyward_test\n"},"data":{"x":[1,null]}}`)
	a := s.must(t, 200, s.auditor, bundleRoute, "")
	etag := a.header.Get("ETag")
	if etag != `"`+id+`"` || a.header.Get("Content-Type") != "application/vnd.openpolicyagent.bundles" {
		t.Errorf("headers %v", a.header)
	}
	z, err := gzip.NewReader(strings.NewReader(a.text))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(b)
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, []string{"/.manifest", "/data.json", "/policy.rego"}) {
		t.Errorf("the bundle has %q", got)
	}
	if !strings.Contains(files["/.manifest"], id) || files["/data.json"] != `{"x":[1,null]}` {
		t.Errorf("the bundle is %q", files)
	}
	if again := s.must(t, 200, s.auditor, bundleRoute, ""); again.text != a.text {
		t.Error("the same policy makes another bundle")
	}
	s.must(t, 304, s.auditor, bundleRoute, "", "If-None-Match", etag)

	// An answer that is held back comes with the next policy.
	next := make(chan answer)
	go func() {
		next <- s.do(t, s.auditor, bundleRoute, "", "If-None-Match", etag, "Prefer", "modes=snapshot,delta;wait=15")
	}()
	other := s.publish(t, policyJSON)
	if a := <-next; a.status != 200 || a.header.Get("ETag") != `"`+other+`"` {
		t.Errorf("the held answer: %d %v", a.status, a.header)
	}
	s.must(t, 304, s.auditor, bundleRoute, "", "If-None-Match", `"`+other+`"`, "Prefer", "wait=soon")
}
