package scenarios_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A gateway is one form in which the plugins exist.
type gateway interface {
	// use puts one of the world's snapshots in force.
	use(t *testing.T, snapshot string)
	// play sends a row's request and returns what became of it.
	play(protocol string, r request) (*Exchange, error)
	// logs is all that it has written so far.
	logs() string
}

func TestNative(t *testing.T) {
	w := newWorld(t)
	rec := newRecorder(w.accept)
	runTable(t, w, rec, "native", newNative(w, rec))
}

func TestWasm(t *testing.T) {
	w := newWorld(t)
	rec := newRecorder(w.accept)
	runTable(t, w, rec, "wasm", newWasm(t, w, rec))
}

func TestEmbedded(t *testing.T) {
	w := newWorld(t)
	rec := newRecorder(w.accept)
	runTable(t, w, rec, "embedded", newEmbedded(t, w, rec))
}

func TestEnvoy(t *testing.T) {
	w := newWorld(t)
	rec := newRecorder(w.accept)
	runTable(t, w, rec, "envoy", newEnvoy(t, w, rec))
}

// unusable are the snapshots that never get in force. They come first; later they
// leave the last good one in force.
var unusable = []string{"none", "corrupt", "foreign", "cut-program", "no-policy"}

// runTable plays the whole table. Rows run one after another, so that what one
// leaves behind in a VM would show in the next.
func runTable(t *testing.T, w *World, rec *Recorder, name string, g gateway) {
	bySnapshot := map[string][]*Row{}
	n := 0
	for _, row := range loadTable(t) {
		// The embedded gateway does not start without a good snapshot.
		refused := name == "embedded" && slices.Contains(unusable, row.Snapshot)
		if !slices.Contains(row.Not, name) && !refused {
			bySnapshot[row.Snapshot] = append(bySnapshot[row.Snapshot], row)
			n++
		}
	}
	t.Logf("%d rows", n)
	order := slices.SortedFunc(maps.Keys(bySnapshot), func(a, b string) int {
		if r := cmp.Compare(rank(a), rank(b)); r != 0 {
			return r
		}
		return cmp.Compare(a, b)
	})
	for _, snapshot := range order {
		t.Run(snapshot, func(t *testing.T) {
			g.use(t, snapshot)
			play(t, w, rec, g, name, bySnapshot[snapshot])
			if snapshot == "base" && name != "native" { // natively there is nothing that keeps a snapshot
				checkUnusable(t, w, rec, g, name, bySnapshot[snapshot])
			}
		})
	}
	checkLogs(t, w, g.logs())
}

// rank puts what has to come first there; "down" is last, as the upstreams don't
// come back.
func rank(snapshot string) int {
	if snapshot == "down" {
		return len(unusable) + 1
	}
	if i := slices.Index(unusable, snapshot); i >= 0 {
		return i
	}
	return len(unusable)
}

func play(t *testing.T, w *World, rec *Recorder, g gateway, name string, rows []*Row) {
	refused := map[string]string{} // by ID: rows of which the upstream must see nothing
	for i, row := range rows {
		for _, protocol := range row.Protocols {
			id := row.Snapshot + strconv.Itoa(i) + protocol
			t.Run(fmt.Sprintf("%s/%s %s", row.File, row.Name, protocol), func(t *testing.T) {
				want := row.wants(name)
				if want.Upstream == nil {
					refused[id] = row.Name
				}
				r := newRequest(&row.Message, w.fill)
				r.headers = append(r.headers, [2]string{rowHeader, id})
				rec.expect(id, row.Answer, w.fill)
				x, err := g.play(protocol, r)
				if err != nil {
					t.Fatal(err)
				}
				c := check{t: t, w: w, row: row, want: want, request: r}
				c.answer(x)
				c.upstream(rec.seen(id), x)
			})
		}
	}
	for id, row := range refused { // also what came after the client had its answer
		if n := len(rec.seen(id)); n > 0 {
			t.Errorf("row %q: the upstream saw %d requests, want none", row, n)
		}
	}
}

// checkUnusable puts unusable snapshots over a good one: it stays in force, and
// the log says that something is wrong.
func checkUnusable(t *testing.T, w *World, rec *Recorder, g gateway, name string, rows []*Row) {
	const proof = "2025-11-25: an allowed call"
	i := slices.IndexFunc(rows, func(r *Row) bool { return r.Name == proof })
	for _, snapshot := range unusable[1:] {
		t.Run("then "+snapshot, func(t *testing.T) {
			before := len(g.logs())
			g.use(t, snapshot)
			if !strings.Contains(g.logs()[before:], "refused") {
				t.Error("the log says nothing of a refused snapshot")
			}
			row := *rows[i]
			row.Snapshot = "then-" + snapshot
			play(t, w, rec, g, name, []*Row{&row})
		})
	}
}

// checkLogs looks for secrets in what a gateway wrote.
func checkLogs(t *testing.T, w *World, log string) {
	t.Helper()
	tokens, keys := w.leaks(log)
	if len(tokens)+len(keys) > 0 {
		t.Errorf("the log holds the tokens of %q and the keys of %q", tokens, keys)
	}
}
