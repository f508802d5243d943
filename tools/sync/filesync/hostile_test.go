package filesync_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keyward/manager/files/wire"
)

// TestAHostileStore has everything that comes from the other side be wrong: whoever
// may write below a shared prefix can choose names, and a store may be anybody's.
func TestAHostileStore(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request went elsewhere, with Authorization %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	sum := etagOf("x")
	names := func(list ...string) func(*wire.Listing) {
		return func(l *wire.Listing) {
			for _, n := range list {
				l.Objects = append(l.Objects, wire.Object{Name: "workers/a/" + n, Size: 1, ETag: sum})
			}
		}
	}
	for name, hostile := range map[string]func(*cloud){
		"names that climb": func(c *cloud) {
			c.list = names("../x", "a/../../x", "..", "/etc/x", "a//x", "a\\..\\x", "a\x00x", "a\nx", ".")
		},
		"the folder's own place": func(c *cloud) { c.list = names(".keyward-sync/state.json", ".keyward-sync", "a/.keyward-sync/x") },
		"a name of another prefix": func(c *cloud) {
			c.list = func(l *wire.Listing) {
				l.Objects = append(l.Objects, wire.Object{Name: "workers/b/x", Size: 1, ETag: sum})
			}
		},
		"a list without end": func(c *cloud) { c.list = func(l *wire.Listing) { l.Next = "workers/a" } },
		"an ETag that is a path": func(c *cloud) {
			c.list = func(l *wire.Listing) {
				l.Objects = append(l.Objects, wire.Object{Name: "workers/a/y", Size: 1, ETag: "../../y"})
			}
		},
		"an ETag that is a path, later": func(c *cloud) { c.found = func(f *wire.Found) { f.Object.ETag = "../../y" } },
		"another content":               func(c *cloud) { c.found = func(f *wire.Found) { f.Object.ETag = etagOf("y") } },
		"more than was said":            func(c *cloud) { c.found = func(f *wire.Found) { f.Object.Size = 0; f.Object.ETag = etagOf("") } },
		"a link to elsewhere":           func(c *cloud) { c.found = func(f *wire.Found) { f.Link.URL = elsewhere.URL + "/x" } },
		"a link to elsewhere, without scheme": func(c *cloud) {
			c.found = func(f *wire.Found) { f.Link.URL = strings.TrimPrefix(elsewhere.URL, "http:") + "/x" }
		},
		"a link that is a host": func(c *cloud) {
			c.found = func(f *wire.Found) { f.Link.URL = "@" + strings.TrimPrefix(elsewhere.URL, "http://") }
		},
		"a redirect": func(c *cloud) {
			c.twist = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/keyward/") {
					return false
				}
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
				return true
			}
		},
		"no JSON": func(c *cloud) {
			c.twist = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true }
		},
		"a refusal": func(c *cloud) {
			c.twist = func(w http.ResponseWriter, _ *http.Request) bool { c.problem(w, 403, "no\x1b[2J"); return true }
		},
		"only trouble": func(c *cloud) {
			c.twist = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(502); return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.objects["workers/a/y"] = "x"
			hostile(c)
			outer := t.TempDir()
			w := &worker{t, c, filepath.Join(outer, "in", "folder"), "a"}
			code, out, stderr := w.run("sync", w.dir)
			if code == 0 {
				t.Errorf("it was taken: %s%s", out, stderr)
			}
			if strings.ContainsAny(out+stderr, "\x1b\x00") {
				t.Errorf("a terminal is told %q", out+stderr)
			}
			for file := range w.files() {
				if file != "y" {
					t.Errorf("it wrote %q", file)
				}
			}
			left, err := os.ReadDir(outer)
			if err != nil || len(left) != 1 {
				t.Errorf("outside of the folder there is %v, %v", left, err)
			}
		})
	}
}

// TestLinksAreNotFollowed has a folder that somebody prepared.
func TestLinksAreNotFollowed(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.write("dir/x", "1")
	w.write("plain", "2")
	w.sync(0)
	w.remove("dir/x")
	w.remove("dir")
	for name, to := range map[string]string{"link": secret, "inner": "plain", "dir": filepath.Dir(secret), "up": "..", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(w.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The store would write through them.
	c.objects["workers/a/link"], c.objects["workers/a/dir/secret"], c.objects["workers/a/up/x"] = "evil", "evil", "evil"
	_, stderr := w.sync(1)
	for _, name := range []string{"link", "inner", "dir", "up", "dangling", "pipe"} {
		if !strings.Contains(stderr, name+": is left out: ") {
			t.Errorf("nothing is said of %s: %s", name, stderr)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "of the host" {
		t.Errorf("the file outside is %q, %v", b, err)
	}
	for name, b := range c.objects {
		if strings.Contains(b, "of the host") {
			t.Errorf("%s was sent", name)
		}
	}
	if c.objects["workers/a/dir/x"] != "1" {
		t.Error("a folder that became a link deleted what was in it")
	}
	// The folder's own place is a link.
	other := c.worker(t, "a")
	if err := os.Symlink(t.TempDir(), filepath.Join(other.dir, ".keyward-sync")); err != nil {
		t.Fatal(err)
	}
	other.sync(1)
}

func TestALinkThatEndedIsAskedForAnew(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a")
	w.write("x", "1")
	c.objects["workers/a/y"] = "2"
	ended := 0
	c.twist = func(rw http.ResponseWriter, r *http.Request) bool {
		if ended++; !strings.HasPrefix(r.URL.Path, "/keyward/") || ended%3 == 0 {
			return false
		}
		rw.WriteHeader(403)
		_, _ = rw.Write([]byte("<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"))
		return true
	}
	w.sync(0)
	w.has("y", "2")
	if c.objects["workers/a/x"] != "1" {
		t.Error("x was not sent")
	}
}

// TestAnAnswerThatWasLost: the store took it, and nobody heard of it.
func TestAnAnswerThatWasLost(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a")
	w.write("x", "1")
	lost := false
	c.twist = func(rw http.ResponseWriter, r *http.Request) bool {
		if lost || r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/keyward/") {
			return false
		}
		lost = true
		c.objects["workers/a/x"] = "1"
		rw.WriteHeader(503)
		return true
	}
	w.sync(0)
	if len(w.files()) != 1 {
		t.Errorf("%v", w.files())
	}
}

func TestWrongUse(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "")
	for _, args := range [][]string{{"sync", "a", "b", "c"}, {"frobnicate"}, {"sync", "--nope"}, {"list", "x", "--gateway", ""}, {"list", "--gateway", "ftp://x"}, {"list", "--gateway", "http://u:p@x"}} {
		if code, _, stderr := w.run(args...); code != 2 {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
	if code, _, stderr := w.run("sync", w.dir); code != 1 || !strings.Contains(stderr, "PREFIX") {
		t.Errorf("no prefix: %d %s", code, stderr)
	}
	if code, _, _ := w.run("sync", w.dir, "../x"); code != 1 {
		t.Errorf("a prefix that climbs: %d", code)
	}
	if code, _, stderr := w.run("list", "--token-file", "/nonexistent"); code != 1 || !strings.Contains(stderr, "nonexistent") {
		t.Errorf("no token: %d %s", code, stderr)
	}
	if code, out, _ := w.run("sync", "--help"); code != 0 || !strings.Contains(out, "keyward-sync sync work") {
		t.Errorf("help: %d %s", code, out)
	}
}
