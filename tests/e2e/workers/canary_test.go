package workers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"keyward/manager"
	"keyward/tests/testenv"
)

// Places that know some of the keys, for they have issued them.
const (
	homeserverData = "the homeserver's database and media"
	objectStore    = "the object store"
)

// findings are where it was searched for real keys, and how often one was there.
type findings struct {
	places map[string]bool
	keys   int
}

// search looks for the real keys wherever they could have got to, and counts where
// they did.
func (w *world) search(t *testing.T, when string, found *findings) {
	t.Helper()
	everywhere := map[string][]byte{
		"the log of the Manager's parts": []byte(w.log.String()),
		"the log of the gateway":         []byte(w.gateway.Log()),
		"the log of the engine":          []byte(w.Docker.Log()),
		"the metrics":                    w.metrics(t),
	}
	if w.matrix != nil {
		everywhere["the log of the homeserver"] = []byte(w.matrix.Log())
		everywhere[homeserverData] = w.matrix.Data(t)
	}
	if w.minio != nil {
		everywhere["the log of the object store"] = []byte(w.minio.Log())
		everywhere[objectStore] = w.minio.Data(t)
	}
	if w.postgres != nil {
		everywhere["the store on PostgreSQL, dumped"] = w.postgres.Dump(t, w.dsn)
		everywhere["the log of PostgreSQL"] = []byte(w.postgres.Log())
	} else {
		everywhere["the store"] = w.files(t)
		everywhere["the backup of the store"] = w.backup(t)
	}
	for where, content := range w.rooms(t) {
		everywhere[where] = content
	}
	if _, err := w.backend.Instance(t.Context(), "researcher"); err == nil {
		const c = "/v1.41/containers/keyward-worker-researcher"
		everywhere["docker inspect"] = w.Get(t, c+"/json")
		everywhere["its filesystem"] = w.Get(t, c+"/export")
		everywhere["its files"] = w.Get(t, c+"/archive?path="+manager.WorkerFiles)
		for _, m := range tokenInEnv.FindAllSubmatch(everywhere["docker inspect"], -1) {
			w.tokens[string(m[1])] = true
		}
		logs, err := w.backend.Logs(t.Context(), "researcher", manager.MaxLogLines)
		if err != nil {
			t.Fatal(err)
		}
		everywhere["its log"] = logs
		for name, of := range map[string]string{"its door": "keyward-door-researcher", "the uplink": "keyward-uplink"} {
			everywhere["docker inspect of "+name] = w.Get(t, "/v1.41/containers/"+of+"/json")
			everywhere["the log of "+name] = w.Get(t, "/v1.41/containers/"+of+"/logs?stdout=1&stderr=1")
		}
	}
	if e, ok := w.gateway.(*testenv.Envoy); ok {
		everywhere["Envoy's statistics"] = testenv.Get(t, "http://"+e.Admin+"/stats")
		everywhere["Envoy's configuration"] = testenv.Get(t, "http://"+e.Admin+"/config_dump")
	}
	// What is looked for must be where it is known to be, or the search is worth
	// nothing.
	for where, known := range w.known {
		if !bytes.Contains(everywhere[where], []byte(known)) {
			t.Errorf("%s: %q is not in %s, where it should be", when, known, where)
		}
	}
	if found.places == nil {
		found.places = map[string]bool{}
	}
	for where, content := range everywhere {
		found.places[where] = true
		for _, key := range w.keys {
			if w.issued[key] != where && hasAnyForm(content, key) {
				found.keys++
				t.Errorf("%s: a real key is in %s", when, where)
			}
		}
		for token := range w.tokens {
			if !itsOwn[where] && hasAnyForm(content, token) {
				found.keys++
				t.Errorf("%s: a consumer token is in %s", when, where)
			}
		}
	}
	if len(w.tokens) == 0 {
		t.Error("no consumer token was found where it should be")
	}
}

// itsOwn are the places where a Worker's token is.
var itsOwn = map[string]bool{"docker inspect": true, "its filesystem": true, "its files": true}

var tokenInEnv = regexp.MustCompile(`"KEYWARD_TOKEN=(kwt_[0-9A-Za-z]+)"`)

// hasAnyForm reports whether content has a key: as it is, in hex, or in base64,
// wherever in what was encoded it began.
func hasAnyForm(content []byte, key string) bool {
	forms := []string{key, hex.EncodeToString([]byte(key))}
	for before := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte("\x00\x00"[:before] + key))
		forms = append(forms, text[(before*8+5)/6:len(text)-4]) // what the key alone decides
	}
	for _, form := range forms {
		if bytes.Contains(content, []byte(form)) {
			return true
		}
	}
	return false
}

// TestHasAnyForm: what is looked for is found.
func TestHasAnyForm(t *testing.T) {
	const key = "ghp_0123456789abcdef"
	for _, content := range []string{
		"x" + key + "y", hex.EncodeToString([]byte("x" + key)), base64.StdEncoding.EncodeToString([]byte("Basic a:" + key)),
		base64.StdEncoding.EncodeToString([]byte("abc" + key + "d")), base64.StdEncoding.EncodeToString([]byte("ab" + key + "de")),
		base64.URLEncoding.EncodeToString([]byte("a" + key + "def")),
	} {
		if !hasAnyForm([]byte(content), key) {
			t.Errorf("it is not found in %s", content)
		}
	}
	if hasAnyForm([]byte("ghp_0123456789abcdee"), key) {
		t.Error("it is found where it is not")
	}
}

// rooms is what all rooms show.
func (w *world) rooms(t *testing.T) map[string][]byte {
	t.Helper()
	if w.matrix == nil {
		return nil
	}
	l, err := w.Store.Rooms(t.Context(), "", manager.Page{Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, r := range l.Items {
		w.matrix.join(t, r.Matrix)
		all["the "+string(r.Kind)+"'s room"] = w.shown(t, r.Matrix)
	}
	return all
}

func (w *world) metrics(t *testing.T) []byte {
	t.Helper()
	all, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Append(nil, all)
}

// files are those of the store, with its log of writes.
func (w *world) files(t *testing.T) []byte {
	t.Helper()
	var all []byte
	found, err := filepath.Glob(filepath.Join(w.dir, "keyward.db*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func (w *world) backup(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := w.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
