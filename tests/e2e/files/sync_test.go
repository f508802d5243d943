package files_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const large = 40<<20 + 12345

func TestWorkersShareFiles(t *testing.T) {
	w := newWorld(t, embedded)
	own := w.folder("a", "workers/a")
	big := randomBytes(large)
	own.write("notes/Übersicht + mehr?.md", []byte("of a"))
	own.write("big.bin", big)
	own.write("empty", nil)
	start := time.Now()
	own.run("sync", 0)
	t.Logf("%d MiB sent in %v", large>>20, time.Since(start))
	if out := own.run("sync", 0); out != "" {
		t.Errorf("what is alike was sent again: %s", out)
	}
	fresh := w.folder("a", "workers/a") // as after a reset
	start = time.Now()
	fresh.run("pull", 0)
	t.Logf("%d MiB fetched in %v", large>>20, time.Since(start))
	fresh.has("big.bin", big)
	fresh.has("notes/Übersicht + mehr?.md", []byte("of a"))
	fresh.has("empty", nil)

	a, b, c := w.folder("a", "shared/team"), w.folder("b", "shared/team"), w.folder("c", "shared/team")
	a.write("plan.md", []byte("first"))
	a.write("old.md", []byte("old"))
	a.run("sync", 0)
	b.run("pull", 0)
	c.run("sync", 0)
	b.has("plan.md", []byte("first"))
	// What b may only read it can't change, and says so.
	b.write("plan.md", []byte("of b"))
	if out := b.run("push", 3); !strings.Contains(out, "no grant lets") {
		t.Errorf("b: %s", out)
	}
	// Two writers.
	a.write("plan.md", []byte("of a"))
	c.write("plan.md", []byte("of c"))
	w.must(os.Remove(filepath.Join(a.dir, "old.md")))
	a.run("sync", 0)
	out := c.run("sync", 5)
	c.has("plan.md", []byte("of a"))
	kept, err := filepath.Glob(filepath.Join(c.dir, "plan.md.conflict-c-*"))
	if err != nil || len(kept) != 1 || !strings.Contains(out, filepath.Base(kept[0])) {
		t.Fatalf("kept %q, %v: %s", kept, err, out)
	}
	a.run("sync", 0)
	a.has(filepath.Base(kept[0]), []byte("of c"))
	if _, err := os.Stat(filepath.Join(c.dir, "old.md")); err == nil {
		t.Error("the deletion did not arrive")
	}
	// Others' prefixes.
	for _, prefix := range []string{"workers/b", "workers", "shared", "shared/other"} {
		if out := w.folder("a", prefix).run("pull", 3); strings.Contains(out, "of b") {
			t.Errorf("%s: %s", prefix, out)
		}
	}
	w.noKeys()
}

// TestFilesSurviveRestarts has MinIO, and then the gateway, killed while a large
// file is on its way, in both directions.
func TestFilesSurviveRestarts(t *testing.T) {
	w := newWorld(t, embedded)
	one, two := w.folder("a", "workers/a"), w.folder("a", "workers/a")
	big := randomBytes(large)
	one.write("big.bin", big)
	kill := map[string]func(){
		"MinIO":   func() { w.minio.Kill(); w.minio.Start(t) },
		"gateway": func() { w.process.Kill(); w.startGateway() },
	}
	for name, restart := range kill {
		one.write("big.bin", big)
		push := one.command("sync", one.dir, one.prefix, "--retry-for", "3m")
		one.during(push, func() bool { return uploading(one.dir) }, name, restart)
		pull := two.command("sync", two.dir, two.prefix, "--retry-for", "3m")
		two.during(pull, func() bool { return fetching(two.dir) }, name, restart)
		two.has("big.bin", big)
		big = append(randomBytes(1<<20), big[1<<20:]...)
	}
	// And while nothing is on its way, for longer than a client is patient.
	w.minio.Kill()
	one.write("small", []byte("x"))
	cmd := one.command("sync", one.dir, "--retry-for", "1s")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte("given up")) {
		t.Errorf("ended with %d: %s", cmd.ProcessState.ExitCode(), out)
	}
	w.minio.Start(t)
	one.run("sync", 0)
	two.run("sync", 0)
	two.has("small", []byte("x"))
}

// during runs a command that must succeed, and does something once it is half way.
func (f *folder) during(cmd interface {
	Start() error
	Wait() error
}, halfWay func() bool, what string, do func(),
) {
	f.Helper()
	f.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !halfWay() {
		select {
		case err := <-ended:
			f.Logf("it ended (%v) before %s could be killed", err, what)
			ended <- err
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	do()
	if err := <-ended; err != nil {
		f.Errorf("with %s killed: %v", what, err)
	}
}

func uploading(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, ".keyward-sync", "state.json"))
	var s struct{ Uploads map[string]any }
	return err == nil && json.Unmarshal(b, &s) == nil && len(s.Uploads) > 0
}

func fetching(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, ".keyward-sync", "get-*"))
	if err != nil || len(found) == 0 {
		return false
	}
	i, err := os.Stat(found[0])
	return err == nil && i.Size() > 0
}

// noKeys looks for keys wherever they could have got to.
func (w *world) noKeys() (places, found int) {
	w.Helper()
	db, err := os.ReadFile(filepath.Join(w.dir, "keyward.db"))
	w.must(err)
	wal, _ := os.ReadFile(filepath.Join(w.dir, "keyward.db-wal")) // may have been taken in
	answers := w.answers.String()
	for where, text := range map[string]string{
		"store": string(db) + string(wal), "Manager's log": w.log.String(), "gateway's log": w.process.Log(), "MinIO's log": w.minio.Log(), "what Workers were told": answers,
	} {
		places++
		for name, key := range map[string]string{"key to MinIO": w.minio.SecretKey, "key of the files service": w.key} {
			if strings.Contains(text, key) {
				found++
				w.Errorf("the %s is in the %s", name, where)
			}
		}
		if where != "what Workers were told" && strings.Contains(text, "X-Amz-Signature") {
			found++
			w.Errorf("a link is in the %s", where)
		}
	}
	if !strings.Contains(answers, "push ") {
		w.Error("nothing was kept of what Workers were told: the search is worth nothing")
	}
	return places, found
}
