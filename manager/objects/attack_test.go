package objects_test

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyward/manager/files/wire"
	"keyward/manager/objects"
)

// TestALinkDoesOneThing takes links apart that were rightly got, and makes of them
// what they were not signed for. Nothing of that may be done.
func TestALinkDoesOneThing(t *testing.T) {
	w := newWorld(t, objects.Options{})
	secret := []byte("of another Worker")
	if status := w.put("workers/b", "workers/b/secret", secret, create(secret)); status != 200 {
		t.Fatal(status)
	}
	own := []byte("own")
	if status := w.put("workers/a", "workers/a/own", own, create(own)); status != 200 {
		t.Fatal(status)
	}
	get, err := w.SignGet(t.Context(), "workers/a", "workers/a/own", sum(own))
	if err != nil {
		t.Fatal(err)
	}
	put, err := w.SignPut(t.Context(), "workers/a", "workers/a/new", create(own))
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.StartUpload(t.Context(), "workers/a/large")
	if err != nil {
		t.Fatal(err)
	}
	part, err := w.SignPart(t.Context(), "workers/a", "workers/a/large", id, 1, wire.Put{Size: 3, MD5: sum(own)})
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = strings.Replace(r.URL.Path, old, new, 1), ""
		}
	}
	query := func(k, v string) func(*http.Request) {
		return func(r *http.Request) { q := r.URL.Query(); q.Set(k, v); r.URL.RawQuery = q.Encode() }
	}
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	without := func(k string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(k) } }
	for _, tt := range []struct {
		name string
		link wire.Link
		body []byte
		edit func(*http.Request)
	}{
		{"read another's object", get, nil, replace("workers/a/own", "workers/b/secret")},
		{"read by climbing", get, nil, replace("workers/a/own", "workers/a/../b/secret")},
		{"read another bucket", get, nil, replace("/keyward/", "/other/")},
		{"read an old version", get, nil, query("versionId", "null")},
		{"list the bucket", get, nil, replace("/keyward/workers/a/own", "/keyward/")},
		{"delete what may be read", get, nil, method("DELETE")},
		{"write what may be read", get, own, method("PUT")},
		{"look at what may be read", get, nil, method("HEAD")},
		{"post to what may be read", get, nil, method("POST")},
		{"live longer", get, nil, query("X-Amz-Expires", "604800")},
		{"be signed later", get, nil, query("X-Amz-Date", time.Now().UTC().Add(time.Hour).Format("20060102T150405Z"))},
		{"take the headers out of the signature", get, nil, query("X-Amz-SignedHeaders", "host")},
		{"read whatever version is there", get, nil, without("If-Match")},
		{"read its settings", get, nil, query("acl", "")},
		{"without the session", get, nil, func(r *http.Request) {
			q := r.URL.Query()
			q.Del("X-Amz-Security-Token")
			r.URL.RawQuery = q.Encode()
		}},
		{"with another signature", get, nil, query("X-Amz-Signature", strings.Repeat("0", 64))},
		{"at another host", get, nil, func(r *http.Request) { r.Host = "" }},
		{"write another's object", put, own, replace("workers/a/new", "workers/b/secret")},
		{"write another name", put, own, replace("workers/a/new", "workers/a/other")},
		{"write more", put, append(own, "and more"...), nil},
		{"write less", put, own[:1], nil},
		{"write nothing", put, nil, nil},
		{"write without a length", put, own, func(r *http.Request) {
			r.ContentLength = -1
			r.Body = http.NoBody
			r.TransferEncoding = []string{"chunked"}
			r.Header.Del("Content-Length")
		}},
		{"write another content of that size", put, []byte("oops"[:3]), nil},
		{"overwrite", put, own, without("If-None-Match")},
		{"overwrite a version", put, own, func(r *http.Request) {
			r.Header.Del("If-None-Match")
			r.Header.Set("If-Match", `"`+sum(own)+`"`)
		}},
		{"delete what may be written", put, nil, method("DELETE")},
		{"read what may be written", put, nil, method("GET")},
		{"begin an upload", put, nil, func(r *http.Request) { method("POST")(r); query("uploads", "")(r) }},
		{"copy another's object", put, nil, header("X-Amz-Copy-Source", "/keyward/workers/b/secret")},
		{"copy another's object, with the body", put, own, header("X-Amz-Copy-Source", "/keyward/workers/b/secret")},
		{"copy a part of another's object", part, own, header("X-Amz-Copy-Source", "/keyward/workers/b/secret")},
		{"have an archive unpacked", put, own, header("X-Amz-Meta-Snowball-Auto-Extract", "true")},
		{"pass for a replica", put, own, header("X-Minio-Source-Replication-Request", "true")},
		{"come before all later versions", put, own, header("X-Minio-Source-Mtime", "2099-01-01T00:00:00Z")},
		{"pass for another content", put, own, header("X-Minio-Source-Etag", sum([]byte("other")))},
		{"pass for another content, as a replica", put, own, func(r *http.Request) {
			r.Header.Set("X-Minio-Source-Replication-Request", "true")
			r.Header.Set("X-Minio-Source-Etag", sum([]byte("other")))
		}},
		{"be encrypted by a key of the store", put, own, header("X-Amz-Server-Side-Encryption", "AES256")},
		{"send a part of another time", part, own, header("X-Minio-Source-Mtime", "2099-01-01T00:00:00Z")},
		{"keep it from deletion", put, own, func(r *http.Request) {
			r.Header.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
			r.Header.Set("X-Amz-Object-Lock-Retain-Until-Date", "2030-01-01T00:00:00Z")
		}},
		{"send another part", part, own, query("partNumber", "2")},
		{"send a part to another upload", part, own, query("uploadId", "x"+id)},
		{"send a larger part", part, bytes.Repeat(own, 10), nil},
		{"make a part the object", part, own, func(r *http.Request) {
			q := r.URL.Query()
			q.Del("partNumber")
			q.Del("uploadId")
			r.URL.RawQuery = q.Encode()
		}},
		{"complete an upload", part, own, method("POST")},
		{"give an upload up", part, nil, method("DELETE")},
	} {
		res, b := w.send(tt.link, tt.body, func(r *http.Request) {
			if tt.body != nil && r.Header.Get("Content-Length") != "" {
				r.ContentLength = int64(len(tt.body))
				r.Header.Set("Content-Length", strconv.Itoa(len(tt.body)))
			}
			if tt.edit != nil {
				tt.edit(r)
			}
		})
		if res.StatusCode < 300 || bytes.Contains(b, secret) {
			t.Errorf("%s: %s %s", tt.name, res.Status, b)
		}
	}
	for name, want := range map[string]string{"workers/b/secret": sum(secret), "workers/a/own": sum(own)} {
		if o, err := w.Stat(t.Context(), name); err != nil || o.ETag != want {
			t.Errorf("afterwards %s is %+v, %v", name, o, err)
		}
	}
	for _, name := range []string{"workers/a/new", "workers/a/other", "workers/a/large"} {
		if o, err := w.Stat(t.Context(), name); err == nil {
			t.Errorf("afterwards there is %+v", o)
		}
	}
	// And each does what it is for.
	if res, b := w.send(get, nil, nil); res.StatusCode != 200 || string(b) != "own" {
		t.Errorf("get: %s %s", res.Status, b)
	}
	for _, l := range []wire.Link{put, part} {
		if res, b := w.send(l, own, nil); res.StatusCode != 200 {
			t.Errorf("%s: %s %s", l.Method, res.Status, b)
		}
	}
	if res, _ := w.send(put, own, nil); res.StatusCode != 412 {
		t.Errorf("a second use of a link: %s", res.Status)
	}
	for prefix, name := range map[string]string{"workers/a": "workers/b/secret", "workers": "workers", "w": "workers/a/own"} {
		if l, err := w.SignGet(t.Context(), prefix, name, sum(own)); err == nil {
			t.Errorf("below %q a link was signed for %q: %s", prefix, name, l.Method)
		}
	}
	for _, prefix := range []string{"workers/*", "workers/${aws:username}", "workers/?"} {
		if _, err := w.SignGet(t.Context(), prefix, prefix+"/x", sum(own)); err == nil {
			t.Errorf("a policy for %q was made", prefix)
		}
	}
}

func TestALinkEnds(t *testing.T) {
	w := newWorld(t, objects.Options{Expires: time.Second})
	b := []byte("x")
	if status := w.put("a", "a/x", b, create(b)); status != 200 {
		t.Fatal(status)
	}
	l, err := w.SignGet(t.Context(), "a", "a/x", sum(b))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		res, body := w.send(l, nil, nil)
		if res.StatusCode == 403 && bytes.Contains(body, []byte("expired")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it still answers %s %s", res.Status, body)
		}
	}
}
