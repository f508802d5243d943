package files_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"keyward/manager/client"
	"keyward/manager/files/wire"
	"keyward/plugins/live"
	"keyward/tests/testenv"
)

// An attempt is one way to something that b may not have. It succeeds if b is
// answered with 2xx, or sees what is a's.
type attempt struct {
	name string
	do   func() (int, string)
}

const secretOfA = "what only a may read"

func hash(b []byte) string { s := md5.Sum(b); return hex.EncodeToString(s[:]) }

// TestNoWayToOthersFiles is b, with its own token and links of its own, and with
// links that it has stolen from a, at the gateway and at all that is behind it.
func TestNoWayToOthersFiles(t *testing.T) {
	for name, gateway := range map[string]func(*world, map[string]string, live.Config, string){"embedded": embedded, "envoy": envoy} {
		t.Run(name, func(t *testing.T) { newWorld(t, gateway).attack(t) })
	}
}

func (w *world) attack(t *testing.T) {
	t.Helper()
	a, b := w.folder("a", "workers/a"), w.folder("b", "workers/b")
	a.write("secret", []byte(secretOfA))
	b.write("own", []byte("own"))
	a.run("push", 0)
	b.run("push", 0)
	stolen := w.found("a", "workers/a/secret").Link
	own := w.found("b", "workers/b/own").Link
	body := []byte("new")
	stolenPut := w.link("a", "workers/a/new", body)
	ownPut := w.link("b", "workers/b/new", body)
	follow := func(worker string, l wire.Link, body []byte, edit func(*http.Request)) func() (int, string) {
		return func() (int, string) { return w.follow(worker, l, body, edit) }
	}
	ask := func(method, path string, in any) func() (int, string) {
		return func() (int, string) { return w.ask("b", method, path, in) }
	}
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	query := func(k, v string) func(*http.Request) {
		return func(r *http.Request) { q := r.URL.Query(); q.Set(k, v); r.URL.RawQuery = q.Encode() }
	}
	path := func(p string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Opaque = "//" + w.addr + p + "?" + r.URL.RawQuery }
	}
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	put := wire.Put{Size: 3, Condition: wire.Condition{Create: true}}
	attempts := []attempt{
		// The service.
		{"a link to another's object", ask("GET", "/files/workers/a/secret", nil)},
		{"the list of another's prefix", ask("GET", "/files/workers/a/", nil)},
		{"the list of all", ask("GET", "/files/", nil)},
		{"the list of all Workers", ask("GET", "/files/workers/", nil)},
		{"a link to write another's object", ask("PUT", "/files/workers/a/x", put)},
		{"a link to write what may be read", ask("PUT", "/files/shared/team/x", put)},
		{"delete another's object", func() (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), "DELETE", "http://"+w.addr+"/files/workers/a/secret", nil)
			w.must(err)
			req.Header.Set("Authorization", "Bearer "+w.tokens["b"])
			req.Header.Set("If-Match", hash([]byte(secretOfA)))
			return w.send(req)
		}},
		{"an upload to another's prefix", ask("POST", "/files/workers/a/x?upload", wire.NewUpload{Size: 9})},
		{"climb", ask("GET", "/files/workers/b/../a/secret", nil)},
		{"climb, encoded", ask("GET", "/files/workers/b/%2e%2e/a/secret", nil)},
		{"climb, with encoded slashes", ask("GET", "/files/workers/b%2f..%2fa%2fsecret", nil)},
		{"climb, twice encoded", ask("GET", "/files/workers/b/%252e%252e/a/secret", nil)},
		{"climb, with backslashes", ask("GET", "/files/workers/b/..%5c..%5ca/secret", nil)},
		{"an empty segment", ask("GET", "/files/workers//a/secret", nil)},
		{"a path parameter", ask("GET", "/files/workers/b;/../a/secret", nil)},
		{"NUL", ask("GET", "/files/workers/a/secret%00", nil)},
		{"pass for another consumer", func() (int, string) {
			return w.follow("b", wire.Link{Method: "GET", URL: "/files/workers/a/secret", Headers: map[string]string{"X-Mse-Consumer": "worker-a"}}, nil, nil)
		}},
		{"pass for another consumer, with an underscore", func() (int, string) {
			return w.follow("b", wire.Link{Method: "GET", URL: "/files/workers/a/secret", Headers: map[string]string{"X_mse_consumer": "worker-a"}}, nil, nil)
		}},
		{"the service's credential by guessing", func() (int, string) {
			return w.follow("b", wire.Link{Method: "GET", URL: "/files/workers/a/secret"}, nil, header("Authorization", "Bearer kwf_guessed"))
		}},
		{"overwrite unseen", ask("PUT", "/files/workers/b/own", wire.Put{Size: 3})},
		{"more than one request may have", ask("PUT", "/files/workers/b/x", wire.Put{Size: wire.PartSize + 1, Condition: wire.Condition{Create: true}})},
		// The store, without a link.
		{"the store without a link", ask("GET", "/keyward/workers/a/secret", nil)},
		{"the own object without a link", ask("GET", "/keyward/workers/b/own", nil)},
		{"the bucket's list", ask("GET", "/keyward/?list-type=2", nil)},
		{"the bucket's list, below the own prefix", ask("GET", "/keyward/workers/b/?list-type=2", nil)},
		{"write without a link", ask("PUT", "/keyward/workers/b/x", body)},
		{"a session of the store", ask("POST", "/?Action=AssumeRole&Version=2011-06-15", nil)},
		{"the store's health", ask("GET", "/minio/health/live", nil)},
		{"the store's console", ask("GET", "/minio/admin/v3/info", nil)},
		{"another bucket", ask("GET", "/other/x", nil)},
		// Links that are a's.
		{"a stolen link", follow("b", stolen, nil, nil)},
		{"a stolen link, without a token", follow("b", stolen, nil, func(r *http.Request) { r.Header.Del("Authorization") })},
		{"a stolen link, with a token that is none", follow("b", stolen, nil, header("Authorization", "Bearer kwt_none"))},
		{"a stolen link to write", follow("b", stolenPut, body, nil)},
		{"a stolen link, with its path encoded", follow("b", stolen, nil, path("/keyward/workers/%61/secret"))},
		{"a stolen link, by climbing from the own prefix", follow("b", stolen, nil, path("/keyward/workers/b/../a/secret"))},
		{"a stolen link, by climbing, encoded", follow("b", stolen, nil, path("/keyward/workers/b/%2e%2e/a/secret"))},
		{"a stolen link, twice encoded", follow("b", stolen, nil, path("/keyward/workers/b%252f..%252fa/secret"))},
		{"a stolen link, in an absolute form", follow("b", stolen, nil, path("/http://x/keyward/workers/a/secret"))},
		{"a stolen link at another host", follow("b", stolen, nil, func(r *http.Request) { r.Host = "objects.keyward" })},
		// Links that are b's own, made into others.
		{"the own link for another's object", follow("b", own, nil, func(r *http.Request) { r.URL.Path = "/keyward/workers/a/secret" })},
		{"the own link, and another path for the store", func() (int, string) {
			status, answer := w.follow("b", own, nil, header("X-Original-Url", "/keyward/workers/a/secret"))
			if answer == "own" { // the header never got there
				status = http.StatusForbidden
			}
			return status, answer
		}},
		{"the own link to delete", follow("b", own, nil, method("DELETE"))},
		{"the own link to write", follow("b", own, body, method("PUT"))},
		{"the own link by another method's name", follow("b", own, nil, func(r *http.Request) { r.Method = "POST"; r.Header.Set("X-Http-Method-Override", "GET") })},
		{"the own link, for longer", follow("b", own, nil, query("X-Amz-Expires", "86400"))},
		{"the own link, for a version", follow("b", own, nil, query("versionId", "null"))},
		{"the own link, for settings", follow("b", own, nil, query("tagging", ""))},
		{"the own link, with a's signature", follow("b", own, nil, func(r *http.Request) {
			theirs, err := http.NewRequest("GET", "http://x"+stolen.URL, nil)
			w.must(err)
			query("X-Amz-Signature", theirs.URL.Query().Get("X-Amz-Signature"))(r)
		})},
		{"the own link, with a's whole query", follow("b", own, nil, func(r *http.Request) {
			_, r.URL.RawQuery, _ = strings.Cut(stolen.URL, "?")
		})},
		{"more than was asked for", follow("b", ownPut, append(body, "er"...), nil)},
		{"less than was asked for", follow("b", ownPut, body[:2], nil)},
		{"without a length", follow("b", ownPut, body, func(r *http.Request) { r.ContentLength = -1 })},
		{"another content", follow("b", ownPut, []byte("old"), nil)},
		{"another name", follow("b", ownPut, body, func(r *http.Request) { r.URL.Path = "/keyward/workers/b/other" })},
		{"another's name", follow("b", ownPut, body, func(r *http.Request) { r.URL.Path = "/keyward/workers/a/other" })},
		{"overwrite by a link to create", follow("b", ownPut, body, func(r *http.Request) { r.Header.Del("If-None-Match") })},
		{"a copy of another's object", follow("b", ownPut, nil, header("X-Amz-Copy-Source", "/keyward/workers/a/secret"))},
		{"a copy of another's object, with a content", follow("b", ownPut, body, header("X-Amz-Copy-Source", "keyward%2Fworkers%2Fa%2Fsecret"))},
		{"an archive that is unpacked", follow("b", ownPut, body, header("X-Amz-Meta-Snowball-Auto-Extract", "true"))},
		{"a time in the future", follow("b", ownPut, body, header("X-Minio-Source-Mtime", "2099-01-01T00:00:00Z"))},
		{"another ETag", follow("b", ownPut, body, header("X-Minio-Source-Etag", hash([]byte(secretOfA))))},
		{"the link to write, to begin an upload", follow("b", ownPut, nil, func(r *http.Request) { method("POST")(r); query("uploads", "")(r) })},
		// What is behind the gateway, as nobody should reach it.
		{"the store itself, with a stolen link", func() (int, string) { return w.direct(stolen, "") }},
		{"the store itself, with a stolen link and no query", func() (int, string) {
			return w.direct(wire.Link{Method: "GET", URL: "/keyward/workers/a/secret"}, "objects.keyward")
		}},
		{"the service itself, without its key", func() (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+w.files+"/files/workers/a/secret", nil)
			w.must(err)
			req.Header.Set("X-Mse-Consumer", "worker-a")
			req.Header.Set("Authorization", "Bearer "+w.tokens["b"])
			return w.send(req)
		}},
	}
	succeeded := 0
	for _, x := range attempts {
		status, answer := x.do()
		if status/100 == 2 || strings.Contains(answer, secretOfA) || status == 0 && !strings.Contains(answer, "EOF") && !strings.Contains(answer, "reset") && !strings.Contains(answer, "malformed") {
			succeeded++
			t.Errorf("%s: %d %.300s", x.name, status, answer)
		}
	}
	t.Logf("tried %d, succeeded %d", len(attempts), succeeded)
	a.run("sync", 0)
	a.has("secret", []byte(secretOfA))
	if left := w.names("a", "workers/a"); left != "workers/a/secret" {
		t.Errorf("a has %s", left)
	}
	if left := w.names("b", "workers/b"); left != "workers/b/own" {
		t.Errorf("b has %s", left)
	}
	// The control: each link does what it is for, once.
	for _, l := range []struct {
		worker string
		link   wire.Link
		body   []byte
	}{{"a", stolen, nil}, {"b", own, nil}, {"a", stolenPut, body}, {"b", ownPut, body}} {
		if status, answer := w.follow(l.worker, l.link, l.body, nil); status != 200 {
			t.Errorf("%s of %s: %d %s", l.link.Method, l.worker, status, answer)
		}
	}
	if status, _ := w.follow("b", ownPut, body, nil); status != 412 {
		t.Errorf("a link to create, used again: %d", status)
	}
	w.endings(t)
	places, found := w.noKeys()
	testenv.AddFigures(t, "probes.json", map[string]int{"files_tried": len(attempts), "files_succeeded": succeeded, "files_canary_places": places, "files_canary_found": found})
}

// endings end what a may do, and try links that were rightly got before.
func (w *world) endings(t *testing.T) {
	t.Helper()
	now := client.Request{Wait: true}
	l := w.found("a", "workers/a/secret").Link
	for _, end := range []struct {
		name     string
		do, undo func() error
	}{
		{
			"suspended",
			func() error { _, _, err := w.api.SuspendConsumer(t.Context(), now, "worker-a"); return err },
			func() error { _, _, err := w.api.ResumeConsumer(t.Context(), now, "worker-a"); return err },
		},
		{"revoked", func() error { _, _, err := w.api.RevokeConsumer(t.Context(), now, "worker-a"); return err }, nil},
	} {
		w.must(end.do())
		for what, do := range map[string]func() (int, string){
			"a link from before": func() (int, string) { return w.follow("a", l, nil, nil) },
			"a new link":         func() (int, string) { return w.ask("a", "GET", "/files/workers/a/secret", nil) },
		} {
			if status, answer := do(); status/100 == 2 {
				t.Errorf("%s: %s: %d %s", end.name, what, status, answer)
			}
		}
		if end.undo != nil {
			w.must(end.undo())
		}
	}
}

func (w *world) found(worker, name string) wire.Found {
	w.Helper()
	var f wire.Found
	status, b := w.ask(worker, "GET", "/files/"+name, nil)
	if status != 200 {
		w.Fatalf("%s: %d %s", name, status, b)
	}
	w.must(json.Unmarshal([]byte(b), &f))
	return f
}

// link is one to create an object.
func (w *world) link(worker, name string, content []byte) wire.Link {
	w.Helper()
	var l wire.Link
	status, b := w.ask(worker, "PUT", "/files/"+name, wire.Put{Size: int64(len(content)), MD5: hash(content), Condition: wire.Condition{Create: true}})
	if status != 200 {
		w.Fatalf("%s: %d %s", name, status, b)
	}
	w.must(json.Unmarshal([]byte(b), &l))
	return l
}

// direct uses a link at MinIO's own address, where only the gateway gets; host is
// what the request says, empty: that address.
func (w *world) direct(l wire.Link, host string) (int, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), l.Method, w.minio.URL+l.URL, nil)
	w.must(err)
	req.Host = host
	for k, v := range l.Headers {
		req.Header.Set(k, v)
	}
	return w.send(req)
}

// names are those of the objects below a prefix.
func (w *world) names(worker, prefix string) string {
	w.Helper()
	var l wire.Listing
	_, b := w.ask(worker, "GET", "/files/"+prefix+"/", nil)
	w.must(json.Unmarshal([]byte(b), &l))
	var list []string
	for _, o := range l.Objects {
		list = append(list, o.Name)
	}
	return strings.Join(list, " ")
}
