package objects_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/files/wire"
	"keyward/manager/objects"
	"keyward/tests/testenv"
)

const host = "objects.keyward"

// A world is a store, and how a gateway reaches it.
type world struct {
	*testing.T
	*objects.Store
	minio *testenv.ObjectStore
}

func newWorld(t *testing.T, opt objects.Options) *world {
	t.Helper()
	testenv.Heavy(t, "MinIO")
	m := testenv.StartMinIO(t)
	opt.Endpoint, opt.Host, opt.Bucket, opt.AccessKey, opt.SecretKey = m.URL, host, "keyward", m.AccessKey, m.SecretKey
	s, err := objects.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as each start of a Manager does
		if err := s.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return &world{t, s, m}
}

// send follows a link as a gateway would pass it on. edit may be nil.
func (w *world) send(l wire.Link, body []byte, edit func(*http.Request)) (*http.Response, []byte) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), l.Method, w.minio.URL+l.URL, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Host = host
	for k, v := range l.Headers {
		req.Header.Set(k, v)
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res, b
}

func sum(b []byte) string { s := md5.Sum(b); return hex.EncodeToString(s[:]) }

func create(b []byte) wire.Put {
	return wire.Put{Size: int64(len(b)), MD5: sum(b), Condition: wire.Condition{Create: true}}
}

// put writes an object by a link.
func (w *world) put(prefix, name string, b []byte, p wire.Put) int {
	w.Helper()
	l, err := w.SignPut(w.Context(), prefix, name, p)
	if err != nil {
		w.Fatal(err)
	}
	res, _ := w.send(l, b, nil)
	return res.StatusCode
}

func (w *world) get(prefix, name, etag string) (int, string) {
	w.Helper()
	l, err := w.SignGet(w.Context(), prefix, name, etag)
	if err != nil {
		w.Fatal(err)
	}
	res, b := w.send(l, nil, nil)
	return res.StatusCode, string(b)
}

func TestAnObjectsLife(t *testing.T) {
	w := newWorld(t, objects.Options{})
	const name = "workers/a/Übersicht + mehr?.md"
	first, second := []byte("first"), []byte("second!")
	if status := w.put("workers/a", name, first, create(first)); status != 200 {
		t.Fatalf("create: %d", status)
	}
	o, err := w.Stat(t.Context(), name)
	if err != nil || o.ETag != sum(first) || o.Size != 5 || o.Name != name {
		t.Fatalf("Stat = %+v, %v", o, err)
	}
	if status, b := w.get("workers/a", name, o.ETag); status != 200 || b != "first" {
		t.Errorf("get: %d %q", status, b)
	}
	// Neither of two writers overwrites what it has not seen.
	if status := w.put("workers/a", name, second, create(second)); status != 412 {
		t.Errorf("create again: %d", status)
	}
	over := wire.Put{Size: int64(len(second)), Condition: wire.Condition{IfMatch: sum([]byte("stale"))}}
	if status := w.put("workers/a", name, second, over); status != 412 {
		t.Errorf("overwrite what is not there: %d", status)
	}
	over.IfMatch = o.ETag
	if status := w.put("workers/a", name, second, over); status != 200 {
		t.Errorf("overwrite: %d", status)
	}
	if status, _ := w.get("workers/a", name, o.ETag); status != 412 {
		t.Errorf("get of a version that is gone: %d", status)
	}
	if err := w.Delete(t.Context(), name, o.ETag); !errors.Is(err, manager.ErrVersion) {
		t.Errorf("delete of a version that is gone: %v", err)
	}
	if err := w.Delete(t.Context(), name, sum(second)); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := w.Stat(t.Context(), name); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("after its deletion: %v", err)
	}
	if err := w.Delete(t.Context(), name, sum(second)); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("delete twice: %v", err)
	}
	// A name is free again.
	if status := w.put("workers/a", name, first, create(first)); status != 200 {
		t.Errorf("create after the deletion: %d", status)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t, objects.Options{})
	for _, name := range []string{"a/1", "a/b/2", "a/b/3", "ab/4", "a/z"} {
		if status := w.put("", name, nil, create(nil)); status != 200 {
			t.Fatalf("%s: %d", name, status)
		}
	}
	var pages [][]string
	for after := ""; ; {
		l, err := w.List(t.Context(), "a", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, o := range l.Objects {
			names = append(names, o.Name)
			if o.ETag != sum(nil) {
				t.Errorf("%+v", o)
			}
		}
		pages = append(pages, names)
		if after = l.Next; after == "" {
			break
		}
	}
	if len(pages) != 2 || !slices.Equal(pages[0], []string{"a/1", "a/b/2", "a/b/3"}) || !slices.Equal(pages[1], []string{"a/z"}) {
		t.Errorf("pages %q", pages)
	}
}

// TestOneOfManyWritersWins has writers create one object, and delete it, at once.
func TestOneOfManyWritersWins(t *testing.T) {
	w := newWorld(t, objects.Options{})
	won := make(chan int, 16)
	var all sync.WaitGroup
	for i := range cap(won) {
		all.Go(func() {
			b := []byte("from " + strconv.Itoa(i))
			if w.put("s", "s/x", b, create(b)) == 200 {
				won <- i
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d writers created it", len(won))
	}
	o, err := w.Stat(t.Context(), "s/x")
	if err != nil || o.ETag != sum([]byte("from "+strconv.Itoa(<-won))) {
		t.Errorf("it is %+v, %v", o, err)
	}
	// Deletions of the version that was seen, against those who overwrite it: what
	// was written stays, or the deletion came first and the writer was told.
	var written, deleted int
	all.Go(func() {
		b := []byte("newer")
		written = w.put("s", "s/x", b, wire.Put{Size: 5, Condition: wire.Condition{IfMatch: o.ETag}})
	})
	all.Go(func() {
		if w.Delete(t.Context(), "s/x", o.ETag) == nil {
			deleted = 200
		}
	})
	all.Wait()
	_, err = w.Stat(t.Context(), "s/x")
	if written == 200 && deleted == 200 || (written == 200) != (err == nil) {
		t.Errorf("written %d, deleted %d, and then: %v", written, deleted, err)
	}
}

func TestUpload(t *testing.T) {
	w := newWorld(t, objects.Options{})
	const name = "workers/a/large.bin"
	b := bytes.Repeat([]byte("0123456789abcdef"), wire.PartSize/16*2+1)
	s, err := wire.SumOf(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.StartUpload(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for i, etag := range s.Parts {
		part := b[i*wire.PartSize : min((i+1)*wire.PartSize, len(b))]
		l, err := w.SignPart(t.Context(), "workers/a", name, id, i+1, wire.Put{Size: int64(len(part)), MD5: etag})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 { // what does not hash to what was signed does not arrive
			other := slices.Clone(part)
			other[0]++
			if res, _ := w.send(l, other, nil); res.StatusCode == 200 {
				t.Error("another content was taken")
			}
		}
		if res, b := w.send(l, part, nil); res.StatusCode != 200 {
			t.Fatalf("part %d: %s", i+1, b)
		}
	}
	parts, err := w.Parts(t.Context(), name, id)
	if err != nil || len(parts) != 3 || parts[2].Size != 32-16 && parts[2].Size != 16 {
		t.Fatalf("parts %+v, %v", parts, err)
	}
	if _, err := w.Stat(t.Context(), name); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("seen before it is complete: %v", err)
	}
	if _, err := w.Complete(t.Context(), name, id, wire.Complete{Parts: parts, Condition: wire.Condition{IfMatch: sum(nil)}}); err == nil {
		t.Error("completed in place of what is not there")
	}
	for range 2 { // the second is sent again, for the first one's answer was lost
		o, err := w.Complete(t.Context(), name, id, wire.Complete{Parts: parts, Condition: wire.Condition{Create: true}})
		if err != nil || o.ETag != s.ETag || o.Size != int64(len(b)) {
			t.Fatalf("completed as %+v, %v, want ETag %s", o, err, s.ETag)
		}
	}
	// Who was slower is told.
	id, err = w.StartUpload(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.SignPart(t.Context(), "workers/a", name, id, 1, wire.Put{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	if res, b := w.send(l, []byte("new"), nil); res.StatusCode != 200 {
		t.Fatalf("%s", b)
	}
	_, err = w.Complete(t.Context(), name, id, wire.Complete{Parts: []wire.Part{{Number: 1, ETag: sum([]byte("new"))}}, Condition: wire.Condition{Create: true}})
	if !errors.Is(err, manager.ErrVersion) {
		t.Errorf("completed over another's: %v", err)
	}
	for range 2 {
		if err := w.Abort(t.Context(), name, id); err != nil {
			t.Error(err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	w := newWorld(t, objects.Options{})
	w.minio.Kill()
	_, err := w.Stat(t.Context(), "a/b")
	if !errors.Is(err, manager.ErrUnavailable) || strings.Contains(err.Error(), w.minio.SecretKey) {
		t.Errorf("Stat = %v", err)
	}
	if _, err := w.SignGet(t.Context(), "a", "a/b", sum(nil)); !errors.Is(err, manager.ErrUnavailable) {
		t.Errorf("SignGet = %v", err)
	}
	w.minio.Start(t)
	if _, err := w.Stat(t.Context(), "a/b"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("after its restart: Stat = %v", err)
	}
	if _, err := w.SignGet(t.Context(), "a", "a/b", sum(nil)); err != nil {
		t.Errorf("after its restart: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := objects.Options{Endpoint: "http://127.0.0.1:9000", Host: "objects.keyward:80", Bucket: "keyward", AccessKey: "a", SecretKey: "s"}
	if _, err := objects.New(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*objects.Options){
		"no endpoint":             func(o *objects.Options) { o.Endpoint = "" },
		"a key in the endpoint":   func(o *objects.Options) { o.Endpoint = "http://a:hidden@minio:9000" },
		"a path":                  func(o *objects.Options) { o.Endpoint += "/x" },
		"no host":                 func(o *objects.Options) { o.Host = "" },
		"a host with a path":      func(o *objects.Options) { o.Host = "minio/x" },
		"a bucket with a dot":     func(o *objects.Options) { o.Bucket = "key.ward" },
		"a bucket that climbs":    func(o *objects.Options) { o.Bucket = "../x" },
		"no secret":               func(o *objects.Options) { o.SecretKey = "" },
		"URLs for days":           func(o *objects.Options) { o.Expires = 24 * time.Hour },
		"a CA that is none":       func(o *objects.Options) { o.CA = []byte("x") },
		"URLs for less than none": func(o *objects.Options) { o.Expires = -1 },
	} {
		o := good
		edit(&o)
		if _, err := objects.New(o); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
