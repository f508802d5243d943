package filesync_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/manager/files/wire"
	"keyward/tools/sync/filesync"
)

// A worker is a folder, and what its keyward-sync says.
type worker struct {
	*testing.T
	*cloud
	dir, name string
}

func (c *cloud) worker(t *testing.T, name string) *worker {
	t.Helper()
	return &worker{t, c, t.TempDir(), name}
}

// run runs a command in the worker's folder.
func (w *worker) run(args ...string) (code int, out, stderr string) {
	w.Helper()
	env := map[string]string{"KEYWARD_GATEWAY": w.url, "KEYWARD_TOKEN": token, "KEYWARD_WORKER": w.name}
	var o, e bytes.Buffer
	code = filesync.Main(w.Context(), append(args, "--retry-for", "1s"), func(k string) string { return env[k] }, &o, &e)
	if strings.Contains(o.String()+e.String(), token) {
		w.Error("the token is told")
	}
	return code, o.String(), e.String()
}

// sync runs sync, which must end with a code.
func (w *worker) sync(want int) (out, stderr string) {
	w.Helper()
	code, out, stderr := w.run("sync", w.dir, "workers/a")
	if code != want {
		w.Fatalf("sync ended with %d, want %d\n%s%s", code, want, out, stderr)
	}
	return out, stderr
}

func (w *worker) write(name, content string) {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.Fatal(err)
	}
}

func (w *worker) remove(name string) {
	w.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.Fatal(err)
	}
}

// files are the folder's, by name to content.
func (w *worker) files() map[string]string {
	w.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == ".keyward-sync" {
				return filepath.SkipDir
			}
			return err
		}
		b, err := os.ReadFile(path)
		m[strings.TrimPrefix(path, w.dir+"/")] = string(b)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *worker) has(name, content string) {
	w.Helper()
	if got, ok := w.files()[name]; !ok || got != content {
		w.Errorf("%s is %q (%v), want %q", name, got, ok, content)
	}
}

func TestTwoFoldersStayAlike(t *testing.T) {
	c := newCloud(t)
	one, two := c.worker(t, "one"), c.worker(t, "two")
	one.write("notes.md", "first")
	one.write("deep/er/x", "")
	one.sync(0)
	two.sync(0)
	two.has("notes.md", "first")
	two.has("deep/er/x", "")

	before := c.sent["PUT content"] + c.sent["GET content"]
	if out, _ := two.sync(0); out != "" || c.sent["PUT content"]+c.sent["GET content"] != before {
		t.Errorf("what is alike was sent: %s", out)
	}
	two.write("notes.md", "second")
	two.remove("deep/er/x")
	two.sync(0)
	one.sync(0)
	one.has("notes.md", "second")
	if _, ok := one.files()["deep/er/x"]; ok {
		t.Error("the deletion did not arrive")
	}
	// An edit wins over a deletion, on both sides.
	one.remove("notes.md")
	two.write("notes.md", "third")
	two.sync(0)
	one.sync(0)
	one.has("notes.md", "third")
	one.write("notes.md", "fourth")
	two.remove("notes.md")
	two.sync(0)
	one.sync(0)
	two.sync(0)
	two.has("notes.md", "fourth")
}

func TestTwoWritersLoseNothing(t *testing.T) {
	c := newCloud(t)
	one, two := c.worker(t, "one"), c.worker(t, "two")
	one.write("a/notes.md", "base")
	one.sync(0)
	two.sync(0)
	one.write("a/notes.md", "of one")
	two.write("a/notes.md", "of two")
	one.sync(0)
	out, _ := two.sync(5)
	two.has("a/notes.md", "of one")
	kept := "a/notes.md.conflict-two-" + etagOf("of two")[:8]
	two.has(kept, "of two")
	if !strings.Contains(out, kept) || c.objects["workers/a/"+kept] != "of two" {
		t.Errorf("it was kept here alone: %s", out)
	}
	two.sync(0)
	one.sync(0)
	one.has(kept, "of two")

	// Both make the same file anew: with the same content, and with another.
	one.write("same", "x")
	two.write("same", "x")
	one.write("other", "1")
	two.write("other", "2")
	one.sync(0)
	two.sync(5)
	two.has("same", "x")
	two.has("other", "1")
	two.has("other.conflict-two-"+etagOf("2")[:8], "2")

	// The other writes between the list and the change.
	two.write("same", "y")
	c.twist = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/same") {
			c.objects["workers/a/same"] = "z"
			c.twist = nil
		}
		return false
	}
	two.sync(5)
	two.has("same", "z")
	two.has("same.conflict-two-"+etagOf("y")[:8], "y")
	// And deletes, while the file here has changed; or writes, while it is deleted here.
	two.write("same", "yy")
	c.twist = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/same") {
			delete(c.objects, "workers/a/same")
			c.twist = nil
		}
		return false
	}
	two.sync(0)
	if c.objects["workers/a/same"] != "yy" {
		t.Error("the edit was lost")
	}
	two.remove("same")
	c.twist = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			c.objects["workers/a/same"] = "newer"
			c.twist = nil
		}
		return false
	}
	two.sync(1)
	two.sync(0)
	two.has("same", "newer")
}

func TestPullAndPush(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a") // whose own prefix is the default one
	c.objects["workers/a/there"], c.objects["shared/team/x"] = "1", "team"
	w.write("here", "2")
	if code, out, _ := w.run("status", w.dir); code != 0 || out != "push           here\npull           there\n" {
		t.Errorf("status: %d %q", code, out)
	}
	if code, _, stderr := w.run("pull", w.dir); code != 0 || c.objects["workers/a/here"] != "" {
		t.Errorf("pull: %d %s", code, stderr)
	}
	w.has("there", "1")
	if code, _, stderr := w.run("push", w.dir); code != 0 || c.objects["workers/a/here"] != "2" {
		t.Errorf("push: %d %s", code, stderr)
	}
	// What may only be read.
	team := c.worker(t, "a")
	if code, _, stderr := team.run("pull", team.dir, "shared/team"); code != 0 {
		t.Errorf("pull: %d %s", code, stderr)
	}
	team.write("mine", "y")
	if code, _, stderr := team.run("sync", team.dir); code != 3 || !strings.Contains(stderr, "no grant") {
		t.Errorf("push to what may only be read: %d %s", code, stderr)
	}
	if code, _, stderr := team.run("pull", team.dir, "workers/a"); code != 1 || !strings.Contains(stderr, "shared/team") {
		t.Errorf("another prefix in the same folder: %d %s", code, stderr)
	}
	if code, out, _ := team.run("list"); code != 0 || !strings.Contains(out, "read, write   workers/a") {
		t.Errorf("list: %d %s", code, out)
	}
	if code, out, _ := team.run("list", "shared/team/"); code != 0 || !strings.Contains(out, "4  ") {
		t.Errorf("list of a prefix: %d %s", code, out)
	}
}

func TestAnEmptiedFolderEmptiesNothing(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a")
	w.write("x", "1")
	w.write("y", "2")
	w.sync(0)
	w.remove("x")
	w.remove("y")
	if _, stderr := w.sync(1); !strings.Contains(stderr, "--empty") || len(c.objects) != 2 {
		t.Errorf("%s, left %d", stderr, len(c.objects))
	}
	if code, _, _ := w.run("sync", w.dir, "--empty"); code != 0 || len(c.objects) != 0 {
		t.Errorf("with --empty: %d, left %d", code, len(c.objects))
	}
}

func TestALargeFileGoesOn(t *testing.T) {
	c := newCloud(t)
	w := c.worker(t, "a")
	large := strings.Repeat("0123456789abcdef", wire.PartSize/16*2) + "end"
	w.write("large", large)
	c.twist = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "part=3") && r.Method == http.MethodPut {
			rw.WriteHeader(503)
			return true
		}
		return false
	}
	w.sync(1)
	parts := c.sent["PUT content"]
	c.twist = nil
	w.sync(0)
	if got := c.sent["PUT content"] - parts; got != 1 || c.objects["workers/a/large"] != large {
		t.Errorf("%d parts were sent again", got-1)
	}
	// And comes back in two runs.
	two := c.worker(t, "two")
	c.twist = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/keyward/") && r.Method == http.MethodGet {
			rw.Header().Set("Content-Length", "16777219")
			if r.Header.Get("Range") == "" {
				_, _ = rw.Write([]byte(large[:5<<20]))
			} else {
				rw.WriteHeader(503)
			}
			return true
		}
		return false
	}
	two.sync(1)
	c.twist = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/keyward/") && r.Header.Get("Range") != "bytes=5242880-" {
			t.Errorf("fetched again from %q", r.Header.Get("Range"))
		}
		return false
	}
	two.sync(0)
	two.has("large", large)
}
