package filesync_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"keyward/manager/files/wire"
)

const token = "kwt_test"

// A cloud is the service and the store in one, as far as a client can tell. The
// real ones are in tests/e2e; this one can be hostile.
type cloud struct {
	url string

	mu      sync.Mutex
	objects map[string]string
	parts   map[string]map[int]string                     // by upload
	sent    map[string]int                                // requests by method and kind
	twist   func(http.ResponseWriter, *http.Request) bool // answers in its place
	list    func(*wire.Listing)                           // edits a list
	found   func(*wire.Found)                             // edits what is found
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{objects: map[string]string{}, parts: map[string]map[int]string{}, sent: map[string]int{}}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func etagOf(content string) string {
	s, err := wire.SumOf(strings.NewReader(content))
	if err != nil {
		panic(err)
	}
	return s.ETag
}

func (c *cloud) object(name string) wire.Object {
	return wire.Object{Name: name, Size: int64(len(c.objects[name])), ETag: etagOf(c.objects[name])}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+token {
		c.problem(w, 401, "who?")
		return
	}
	if c.twist != nil && c.twist(w, r) {
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/keyward/"); ok {
		c.sent[r.Method+" content"]++
		c.content(w, r, name)
		return
	}
	c.sent[r.Method]++
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, wire.Path), "/")
	q := r.URL.Query()
	upload := q.Get("upload")
	switch {
	case name == "":
		answer(w, wire.Share{Access: []wire.Access{{Prefix: "workers/a", Read: true, Write: true}, {Prefix: "shared/team", Read: true}}})
	case strings.HasSuffix(name, "/"):
		l := wire.Listing{}
		for _, n := range slices.Sorted(maps.Keys(c.objects)) {
			if strings.HasPrefix(n, name) {
				l.Objects = append(l.Objects, c.object(n))
			}
		}
		if c.list != nil {
			c.list(&l)
		}
		answer(w, l)
	case strings.HasPrefix(name, "shared/") && r.Method != http.MethodGet:
		c.problem(w, 403, "no grant lets you write it")
	case q.Has("upload") && upload == "":
		id := "u" + strconv.Itoa(len(c.parts)+1)
		c.parts[id] = map[int]string{}
		answer(w, wire.Upload{ID: id, PartSize: wire.PartSize})
	case upload != "" && c.parts[upload] == nil:
		c.problem(w, 404, "no such upload")
	case upload != "" && r.Method == http.MethodGet:
		var l wire.PartList
		for n, p := range c.parts[upload] {
			l.Parts = append(l.Parts, wire.Part{Number: n, ETag: etagOf(p)})
		}
		answer(w, l)
	case upload != "" && r.Method == http.MethodDelete:
		delete(c.parts, upload)
		w.WriteHeader(204)
	case upload != "" && r.Method == http.MethodPost:
		var done wire.Complete
		_ = json.NewDecoder(r.Body).Decode(&done)
		whole := ""
		for _, p := range done.Parts {
			whole += c.parts[upload][p.Number]
		}
		if c.fits(w, name, done.Condition) {
			c.objects[name] = whole
			delete(c.parts, upload)
			answer(w, c.object(name))
		}
	case r.Method == http.MethodPut:
		var p wire.Put
		_ = json.NewDecoder(r.Body).Decode(&p)
		answer(w, wire.Link{Method: "PUT", URL: fmt.Sprintf("/keyward/%s?%s&size=%d", name, r.URL.RawQuery, p.Size), Headers: map[string]string{
			"Content-Length": strconv.FormatInt(p.Size, 10), "X-If": p.IfMatch, "X-Create": strconv.FormatBool(p.Create), "X-Md5": p.MD5,
		}})
	case r.Method == http.MethodGet:
		if _, ok := c.objects[name]; !ok {
			c.problem(w, 404, "not found")
			return
		}
		f := wire.Found{Object: c.object(name), Link: wire.Link{Method: "GET", URL: "/keyward/" + name}}
		if c.found != nil {
			c.found(&f)
		}
		answer(w, f)
	case r.Method == http.MethodDelete:
		if c.fits(w, name, wire.Condition{IfMatch: strings.Trim(r.Header.Get("If-Match"), `"`)}) {
			delete(c.objects, name)
			w.WriteHeader(204)
		}
	}
}

// fits checks a condition as the store does.
func (c *cloud) fits(w http.ResponseWriter, name string, cond wire.Condition) bool {
	_, there := c.objects[name]
	switch {
	case cond.Create && there, cond.IfMatch != "" && there && c.object(name).ETag != cond.IfMatch:
		c.problem(w, 412, "somebody else has changed it")
		return false
	case cond.IfMatch != "" && !there:
		c.problem(w, 404, "not found")
		return false
	}
	return true
}

func (c *cloud) content(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodGet {
		b, from := c.objects[name], 0
		if rng, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
			from, _ = strconv.Atoi(strings.TrimSuffix(rng, "-"))
			w.WriteHeader(206)
		}
		_, _ = io.WriteString(w, b[from:])
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || strconv.Itoa(len(b)) != r.URL.Query().Get("size") || r.Header.Get("X-Md5") != etagOf(string(b)) {
		http.Error(w, "<Error><Code>SignatureDoesNotMatch</Code></Error>", http.StatusForbidden)
		return
	}
	if id := r.URL.Query().Get("upload"); id != "" {
		n, _ := strconv.Atoi(r.URL.Query().Get("part"))
		c.parts[id][n] = string(b)
		return
	}
	if c.fits(w, name, wire.Condition{IfMatch: r.Header.Get("X-If"), Create: r.Header.Get("X-Create") == "true"}) {
		c.objects[name] = string(b)
	}
}

func (c *cloud) problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(wire.Problem{Status: status, Detail: detail})
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
