package files_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/files"
	"keyward/manager/files/wire"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

const key = "kwf-0123456789abcdefghij"

// A bucket notes what it is asked for; each link says it too. Its signatures are
// canaries.
type bucket struct {
	files.Objects
	asked []string
	err   error
}

const signature = "X-Amz-Signature=canary"

func (b *bucket) note(parts ...string) (wire.Link, error) {
	b.asked = append(b.asked, strings.Join(parts, " "))
	return wire.Link{URL: "/keyward/" + parts[len(parts)-1] + "?" + signature}, b.err
}

func (b *bucket) Bucket() string                { return "keyward" }
func (b *bucket) Prepare(context.Context) error { return b.err }

func (b *bucket) List(_ context.Context, prefix, after string, _ int) (wire.Listing, error) {
	_, err := b.note("list", after, prefix)
	return wire.Listing{Objects: []wire.Object{}}, err
}

func (b *bucket) Stat(_ context.Context, name string) (wire.Object, error) {
	return wire.Object{Name: name, ETag: etag}, b.err
}

func (b *bucket) Delete(_ context.Context, name, etag string) error {
	_, err := b.note("delete", etag, name)
	return err
}

func (b *bucket) SignGet(_ context.Context, prefix, name, _ string) (wire.Link, error) {
	return b.note("get", prefix, name)
}

func (b *bucket) SignPut(_ context.Context, prefix, name string, _ wire.Put) (wire.Link, error) {
	return b.note("put", prefix, name)
}

func (b *bucket) SignPart(_ context.Context, prefix, name, _ string, _ int, _ wire.Put) (wire.Link, error) {
	return b.note("part", prefix, name)
}

func (b *bucket) StartUpload(_ context.Context, name string) (string, error) {
	_, err := b.note("upload", name)
	return "u1", err
}

func (b *bucket) Parts(context.Context, string, string) ([]wire.Part, error) {
	return []wire.Part{{Number: 1, ETag: etag, Size: 6 << 20}, {Number: 2, ETag: etag, Size: 6 << 20}}, b.err
}

func (b *bucket) Complete(_ context.Context, name, _ string, _ wire.Complete) (wire.Object, error) {
	_, err := b.note("complete", name)
	return wire.Object{Name: name}, err
}

func (b *bucket) Abort(_ context.Context, name, _ string) error {
	_, err := b.note("abort", name)
	return err
}

const etag = "d41d8cd98f00b204e9800998ecf8427e"

// A world is the service on a store with two Workers' consumers.
type world struct {
	testing.TB
	*store.Store
	*files.Service
	bucket *bucket
	log    strings.Builder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{TB: t, Store: s, bucket: &bucket{}}
	w.Service, err = files.New(s, w.bucket, files.Options{Key: key, MaxBytes: 10 << 20, Log: slog.New(slog.NewJSONHandler(&w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.change(func(tx *store.Tx) error {
		for id, path := range map[string]string{"files": "/files", "objects": "/keyward"} {
			_, err := tx.CreateTarget(t.Context(), manager.NewTarget{ID: id, TargetSpec: manager.TargetSpec{Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: path}}}})
			if err != nil {
				return err
			}
		}
		for _, id := range []string{"worker-a", "worker-b"} {
			if _, err := tx.CreateConsumer(t.Context(), manager.ConsumerSpec{ID: id, Kind: "worker"}); err != nil {
				return err
			}
		}
		return nil
	})
	w.grant("worker-a", []string{"GET", "PUT"}, "/keyward/workers/a")
	w.grant("worker-b", []string{"GET", "PUT"}, "/keyward/workers/b")
	w.grant("worker-a", []string{"GET"}, "/keyward/shared/team")
	return w
}

func (w *world) change(fn func(*store.Tx) error) {
	w.Helper()
	if _, err := w.Mutate(w.Context(), store.Mutation{By: manager.Self}, fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) grant(consumer string, methods []string, path string) {
	w.Helper()
	w.change(func(tx *store.Tx) error {
		_, err := tx.CreateGrant(w.Context(), manager.NewGrant{Consumer: consumer, Target: "objects", GrantSpec: manager.GrantSpec{Methods: methods, Paths: []string{path}}})
		return err
	})
}

// ask sends what the gateway would send for worker-a. edit may be nil.
func (w *world) ask(method, path, body string, edit func(http.Header)) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set(files.ConsumerHeader, "worker-a")
	if edit != nil {
		edit(r.Header)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func TestWhatAWorkerMayDo(t *testing.T) {
	w := newWorld(t)
	match := func(h http.Header) { h.Set("If-Match", `"`+etag+`"`) }
	for _, tt := range []struct {
		method, path, body string
		edit               func(http.Header)
		status             int
		asked              string
	}{
		{"GET", "/files/workers/a/x", "", nil, 200, "get workers/a workers/a/x"},
		{"GET", "/files/workers/a/a%20b%3F", "", nil, 200, "get workers/a workers/a/a b?"},
		{"GET", "/files/workers/a/", "", nil, 200, "list  workers/a"},
		{"GET", "/files/workers/a/d/?after=workers/a/d/x&limit=5", "", nil, 200, "list workers/a/d/x workers/a/d"},
		{"GET", "/files/shared/team/x", "", nil, 200, "get shared/team shared/team/x"},
		{"PUT", "/files/workers/a/x", `{"size":3,"create":true}`, nil, 200, "put workers/a workers/a/x"},
		{"PUT", "/files/workers/a/x", `{"size":0,"md5":"` + etag + `","if_match":"` + etag + `"}`, nil, 200, "put workers/a workers/a/x"},
		{"DELETE", "/files/workers/a/x", "", match, 204, "delete " + etag + " workers/a/x"},
		{"POST", "/files/workers/a/x?upload", `{"size":9000000}`, nil, 200, "upload workers/a/x"},
		{"PUT", "/files/workers/a/x?upload=u1&part=2", `{"size":3}`, nil, 200, "part workers/a workers/a/x"},
		{"GET", "/files/workers/a/x?upload=u1", "", nil, 200, ""},
		{"POST", "/files/workers/a/x?upload=u1", `{"parts":[{"number":1,"etag":"` + etag + `"}],"create":true}`, nil, 200, "complete workers/a/x"},
		{"DELETE", "/files/workers/a/x?upload=u1", "", nil, 204, "abort workers/a/x"},
	} {
		w.bucket.asked = nil
		res := w.ask(tt.method, tt.path, tt.body, tt.edit)
		if got := strings.Join(w.bucket.asked, ", "); res.Code != tt.status || got != tt.asked {
			t.Errorf("%s %s: %d %s, asked %q", tt.method, tt.path, res.Code, res.Body, got)
		}
	}
	var s wire.Share
	if res := w.ask("GET", "/files", "", nil); json.Unmarshal(res.Body.Bytes(), &s) != nil || len(s.Access) != 2 || s.Access[0] != (wire.Access{Prefix: "shared/team", Read: true}) || s.MaxBytes != 10<<20 {
		t.Errorf("its share: %s", res.Body)
	}
	if strings.Contains(w.log.String(), "canary") || strings.Contains(w.log.String(), key) || !strings.Contains(w.log.String(), `"consumer":"worker-a","name":"workers/a/x"`) {
		t.Errorf("the log: %s", w.log.String())
	}
}

// TestWhatNobodyMayDo has requests that must not reach the object store.
func TestWhatNobodyMayDo(t *testing.T) {
	w := newWorld(t)
	set := func(name string, values ...string) func(http.Header) {
		return func(h http.Header) { h[name] = values }
	}
	put := `{"size":3,"create":true}`
	for name, tt := range map[string]struct {
		method, path, body string
		edit               func(http.Header)
		status             int
	}{
		"without the key":                 {"GET", "/files/workers/a/x", "", set("Authorization"), 401},
		"with another key":                {"GET", "/files/workers/a/x", "", set("Authorization", "Bearer "+key+"x"), 401},
		"with a consumer token":           {"GET", "/files/workers/a/x", "", set("Authorization", "Bearer kwt_x"), 401},
		"with two keys":                   {"GET", "/files/workers/a/x", "", set("Authorization", "Bearer "+key, "Bearer "+key), 401},
		"nobody":                          {"GET", "/files/workers/a/x", "", set(files.ConsumerHeader), 403},
		"two at once":                     {"GET", "/files/workers/a/x", "", set(files.ConsumerHeader, "worker-a", "worker-b"), 403},
		"an odd consumer":                 {"GET", "/files/workers/a/x", "", set(files.ConsumerHeader, "worker-a, worker-b"), 403},
		"an unknown consumer":             {"GET", "/files/workers/a/x", "", set(files.ConsumerHeader, "worker-c"), 404},
		"another's object":                {"GET", "/files/workers/b/x", "", nil, 403},
		"another's list":                  {"GET", "/files/workers/b/", "", nil, 403},
		"the list of all":                 {"GET", "/files/workers/", "", nil, 403},
		"the list of the bucket":          {"GET", "/files/", "", nil, 403},
		"write to another":                {"PUT", "/files/workers/b/x", put, nil, 403},
		"write to what may be read":       {"PUT", "/files/shared/team/x", put, nil, 403},
		"delete what may be read":         {"DELETE", "/files/shared/team/x", "", set("If-Match", etag), 403},
		"upload to what may be read":      {"POST", "/files/shared/team/x?upload", `{"size":9}`, nil, 403},
		"another's upload":                {"PUT", "/files/workers/b/x?upload=u1&part=1", `{"size":3}`, nil, 403},
		"climb":                           {"GET", "/files/workers/a/../b/x", "", nil, 422},
		"climb, encoded":                  {"GET", "/files/workers/a/%2e%2e/b/x", "", nil, 422},
		"climb, with an encoded slash":    {"GET", "/files/workers/a%2F..%2Fb/x", "", nil, 422},
		"climb, twice encoded":            {"GET", "/files/workers/a/%252e%252e/b/x", "", nil, 422},
		"a backslash":                     {"GET", `/files/workers/a/..%5cb`, "", nil, 422},
		"NUL":                             {"GET", "/files/workers/a/x%00", "", nil, 422},
		"a line break":                    {"GET", "/files/workers/a/x%0aname", "", nil, 422},
		"the state of keyward-sync":       {"PUT", "/files/workers/a/.keyward-sync.json", put, nil, 422},
		"another path":                    {"GET", "/filesystem/x", "", nil, 404},
		"the prefix as an object":         {"PUT", "/files/workers/a", put, nil, 403},
		"overwrite unseen":                {"PUT", "/files/workers/a/x", `{"size":3}`, nil, 422},
		"both conditions":                 {"PUT", "/files/workers/a/x", `{"size":3,"create":true,"if_match":"` + etag + `"}`, nil, 422},
		"any version":                     {"PUT", "/files/workers/a/x", `{"size":3,"if_match":"*"}`, nil, 422},
		"a header in an ETag":             {"PUT", "/files/workers/a/x", `{"size":3,"if_match":"x\r\ny: z"}`, nil, 422},
		"a negative size":                 {"PUT", "/files/workers/a/x", `{"size":-1,"create":true}`, nil, 422},
		"too large for one request":       {"PUT", "/files/workers/a/x", `{"size":8388609,"create":true}`, nil, 422},
		"no JSON":                         {"PUT", "/files/workers/a/x", `{`, nil, 422},
		"two JSON values":                 {"PUT", "/files/workers/a/x", put + put, nil, 422},
		"an unknown member":               {"PUT", "/files/workers/a/x", `{"size":3,"create":true,"prefix":""}`, nil, 422},
		"a body without end":              {"PUT", "/files/workers/a/x", strings.Repeat(" ", 2<<20), nil, 422},
		"delete unseen":                   {"DELETE", "/files/workers/a/x", "", nil, 422},
		"delete any version":              {"DELETE", "/files/workers/a/x", "", set("If-Match", "*"), 422},
		"an upload that is too large":     {"POST", "/files/workers/a/x?upload", `{"size":10485761}`, nil, 422},
		"a part too many":                 {"PUT", "/files/workers/a/x?upload=u1&part=3", `{"size":3}`, nil, 422},
		"part zero":                       {"PUT", "/files/workers/a/x?upload=u1&part=0", `{"size":3}`, nil, 422},
		"a part that is too large":        {"PUT", "/files/workers/a/x?upload=u1&part=1", `{"size":8388609}`, nil, 422},
		"two uploads":                     {"PUT", "/files/workers/a/x?upload=u1&upload=u2&part=1", `{"size":3}`, nil, 405},
		"an upload's id with a space":     {"GET", "/files/workers/a/x?upload=u%201", "", nil, 422},
		"parts that have not arrived":     {"POST", "/files/workers/a/x?upload=u1", `{"create":true,"parts":[{"number":1,"etag":"00000000000000000000000000000000"}]}`, nil, 422},
		"parts that are too much in all":  {"POST", "/files/workers/a/x?upload=u1", `{"create":true,"parts":[{"number":1,"etag":"` + etag + `"},{"number":2,"etag":"` + etag + `"}]}`, nil, 422},
		"parts in disorder":               {"POST", "/files/workers/a/x?upload=u1", `{"create":true,"parts":[{"number":2,"etag":"` + etag + `"}]}`, nil, 422},
		"no parts":                        {"POST", "/files/workers/a/x?upload=u1", `{"create":true,"parts":[]}`, nil, 422},
		"complete over what nobody knows": {"POST", "/files/workers/a/x?upload=u1", `{"parts":[{"number":1,"etag":"` + etag + `"}]}`, nil, 422},
		"another method":                  {"PATCH", "/files/workers/a/x", "", nil, 405},
		"a page that is too long":         {"GET", "/files/workers/a/?limit=1001", "", nil, 422},
		"a page from anywhere":            {"GET", "/files/workers/a/?after=..", "", nil, 422},
	} {
		w.bucket.asked = nil
		res := w.ask(tt.method, tt.path, tt.body, tt.edit)
		if res.Code != tt.status || len(w.bucket.asked) > 0 {
			t.Errorf("%s: %d %s, asked %q", name, res.Code, res.Body, w.bucket.asked)
		}
		if strings.Contains(res.Body.String(), key) {
			t.Errorf("%s: the answer has the key", name)
		}
	}
	if strings.Contains(w.log.String(), key) {
		t.Error("the log has the key")
	}
}

func TestAccessEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*store.Tx) error{
		"a revoked grant": func(tx *store.Tx) error {
			l, err := tx.Grants(t.Context(), store.GrantFilter{Consumer: "worker-b"}, manager.Page{})
			if err != nil {
				return err
			}
			return tx.RevokeGrant(t.Context(), l.Items[0].ID, 0)
		},
		"a suspended consumer": func(tx *store.Tx) error {
			_, err := tx.SetConsumerState(t.Context(), "worker-a", 0, snapshot.Suspended)
			return err
		},
	} {
		w.change(change)
		path, who := "/files/workers/a/x", "worker-a"
		if name == "a revoked grant" {
			path, who = "/files/workers/b/x", "worker-b"
		}
		res := w.ask("GET", path, "", func(h http.Header) { h.Set(files.ConsumerHeader, who) })
		if res.Code != 403 || len(w.bucket.asked) > 0 {
			t.Errorf("%s: %d %s", name, res.Code, res.Body)
		}
	}
}

func TestTheObjectStoreIsDown(t *testing.T) {
	w := newWorld(t)
	w.bucket.err = manager.ErrUnavailable
	if res := w.ask("GET", "/files/workers/a/x", "", nil); res.Code != 503 {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	if err := w.Make(t.Context(), manager.Worker{Meta: manager.Meta{ID: "c"}, Consumer: "worker-c"}); err == nil {
		t.Error("a Worker was given a prefix nobody can reach")
	}
}

func TestAWorkersPart(t *testing.T) {
	w := newWorld(t)
	w.change(func(tx *store.Tx) error {
		_, err := tx.CreateConsumer(t.Context(), manager.ConsumerSpec{ID: "worker-c", Kind: "worker"})
		return err
	})
	worker := manager.Worker{Meta: manager.Meta{ID: "c"}, Consumer: "worker-c"}
	for range 2 { // a step may be taken again
		if err := w.Make(t.Context(), worker); err != nil {
			t.Fatal(err)
		}
	}
	l, err := w.Grants(t.Context(), store.GrantFilter{Consumer: "worker-c"}, manager.Page{})
	if err != nil || len(l.Items) != 2 {
		t.Fatalf("its grants: %+v, %v", l.Items, err)
	}
	as := func(h http.Header) { h.Set(files.ConsumerHeader, "worker-c") }
	if res := w.ask("PUT", "/files/workers/c/x", `{"size":3,"create":true}`, as); res.Code != 200 {
		t.Errorf("its own prefix: %d %s", res.Code, res.Body)
	}
	if res := w.ask("GET", "/files/workers/a/x", "", as); res.Code != 403 {
		t.Errorf("another's: %d", res.Code)
	}
	if err := w.Retire(t.Context(), worker); err != nil {
		t.Error(err)
	}
}

// FuzzServe: whatever is asked for, nothing is done to an object that no grant of
// the consumer names.
func FuzzServe(f *testing.F) {
	w := newWorld(f)
	for _, path := range []string{"workers/a/x", "workers/b/x", "workers/a/../b/x", "shared/team/x", "workers/a/", "", "/", "workers/a//x", "workers/ab/x"} {
		for i := range byte(4) {
			f.Add(i, path, "upload=u1&part=1", `{"size":3,"create":true}`)
		}
	}
	methods := []string{"GET", "PUT", "POST", "DELETE"}
	f.Fuzz(func(t *testing.T, method byte, path, query, body string) {
		w.bucket.asked = nil
		r := httptest.NewRequestWithContext(t.Context(), methods[int(method)%len(methods)], "/files", strings.NewReader(body))
		r.URL.Path, r.URL.RawQuery = "/files/"+path, query
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("If-Match", etag)
		r.Header.Set(files.ConsumerHeader, "worker-a")
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		for _, asked := range w.bucket.asked {
			what, _, _ := strings.Cut(asked, " ")
			name := asked[strings.LastIndex(asked, " ")+1:]
			own := wire.Within(strings.TrimSuffix(path, "/"), "workers/a")
			team := wire.Within(strings.TrimSuffix(path, "/"), "shared/team") && (what == "get" || what == "list")
			if !own && !team || strings.Contains(path, "..") && wire.CheckName(strings.TrimSuffix(path, "/")) != nil {
				t.Errorf("%s %q: %d, %s of %q", r.Method, path, rec.Code, what, name)
			}
		}
	})
}
