package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/e2e/rooms"
	"keyward/tests/testenv"
)

// settled waits until all that gateways have is in the log, and all of that in
// rooms.
func (w *world) settled(s *store.Store, kills int) {
	w.Helper()
	size := uint64(0)
	for range kills + 10 { // a long outbox takes its time
		before := size
		w.until("rooms show the log", func(ctx context.Context) error {
			var err error
			if size, err = s.LogSize(ctx); err != nil {
				return err
			}
			posted, err := s.Posted(ctx)
			if err != nil {
				return err
			}
			n, _, err := s.Waiting(ctx)
			if err == nil && (n > 0 || posted < size) {
				err = fmt.Errorf("%d entries wait, %d of %d were read", n, posted, size)
			}
			return err
		})
		if size == before {
			return
		}
		time.Sleep(2 * time.Second) // for records that are on their way
	}
}

// manyKills is from how many on it is worth while to wait until the Manager is sure
// that killed gateways don't come back.
const manyKills = 30

// gapsTold waits until the log has that each killed gateway is gone.
func (w *world) gapsTold(s *store.Store, killed int) {
	w.Helper()
	w.until("the log knows of killed gateways", func(context.Context) error {
		instances := map[string]bool{}
		w.entries(s, func(e nouns.LogEntry) {
			if e.Gap != nil && e.Gap.Open {
				instance, _, _ := strings.Cut(e.VM, ".")
				instances[instance] = true
			}
		})
		if len(instances) < killed {
			return fmt.Errorf("of %d, of %d", len(instances), killed)
		}
		return nil
	})
}

// entries calls f with each entry of the log that is a Worker's.
func (w *world) entries(s *store.Store, f func(nouns.LogEntry)) {
	w.Helper()
	for from := uint64(0); ; {
		list, err := s.Log(w.Context(), from, 1000)
		w.must(err)
		if len(list) == 0 {
			return
		}
		for _, e := range list {
			f(e)
		}
		from = list[len(list)-1].Position + 1
	}
}

// compare holds what Workers were told and what the server was asked against the
// log.
func (w *world) compare(s *store.Store, callers []*caller) (r result) {
	w.Helper()
	at := map[string][]nouns.LogEntry{} // decisions by tool
	ids := map[string]bool{}
	w.entries(s, func(e nouns.LogEntry) {
		switch {
		case e.Kind == nouns.EntryGap:
			r.Gaps++
		case e.Kind == nouns.EntryDecision && e.Record.Consumer != "" && e.Record.Method == "tools/call":
			if at[e.Record.Name] = append(at[e.Record.Name], e); ids[e.Record.ID] {
				w.Errorf("decision %s is in the log twice", e.Record.ID)
			}
			ids[e.Record.ID] = true
		}
	})
	for tool, list := range at {
		if tool != "first" && len(list) > 1 {
			r.Doubled++
			w.Errorf("%s: %d decisions", tool, len(list))
		}
	}
	for _, c := range callers {
		told := map[string]attempt{}
		last := uint64(0)
		for _, a := range c.answered {
			told[a.tool] = a
			e := at[a.tool]
			if len(e) > 0 && (e[0].Record.Verdict == policies.Allow) != a.allowed {
				w.Errorf("%s: the log says %s", a.tool, e[0].Record.Verdict)
			}
			if len(e) > 0 && c.target == syncTarget {
				if e[0].Position <= last {
					w.Errorf("%s: at position %d, the one before it at %d", a.tool, e[0].Position, last)
				}
				last = e[0].Position
			}
		}
		lost := 0
		for n := 1; n <= c.made; n++ {
			tool := fmt.Sprintf("%s-%d", c.id, n)
			if _, ok := told[tool]; (ok || w.upstream.calls(tool) > 0) && len(at[tool]) == 0 {
				lost++
			}
		}
		if c.target == syncTarget {
			r.Calls += len(c.answered)
			r.Lost += lost
		} else {
			r.LooseCalls += len(c.answered)
			r.LooseLost += lost
		}
	}
	return r
}

// compareRooms holds each Worker's room against the log.
func (w *world) compareRooms(s *store.Store, hs *testenv.Homeserver, alice testenv.MatrixUser, callers []*caller, r *result) {
	w.Helper()
	of := map[string][]string{}
	w.entries(s, func(e nouns.LogEntry) {
		if e.Record != nil && e.Kind != nouns.EntryOutcome {
			of[e.Record.Consumer] = append(of[e.Record.Consumer], e.Record.ID)
		}
	})
	for _, c := range callers {
		tl := w.timeline(s, hs, alice, nouns.RoomID(nouns.RoomWorker, c.id), func(tl rooms.Timeline) error {
			if len(tl.Entries) < len(of[c.id]) {
				return fmt.Errorf("it shows %d entries of %d", len(tl.Entries), len(of[c.id]))
			}
			return nil
		})
		lost, doubled := tl.Compare(of[c.id])
		r.Lost, r.Doubled = r.Lost+lost, r.Doubled+doubled
		if err := tl.Check(); err != nil || len(tl.Entries) != len(of[c.id]) {
			w.Errorf("room of %s: %d entries of %d: %v", c.id, len(tl.Entries), len(of[c.id]), err)
		}
	}
}

// timeline is what a room shows once it is whole.
func (w *world) timeline(s *store.Store, hs *testenv.Homeserver, alice testenv.MatrixUser, id string, whole func(rooms.Timeline) error) (tl rooms.Timeline) {
	w.Helper()
	room, err := s.Room(w.Context(), id)
	w.must(err)
	w.until("room "+id, func(ctx context.Context) (err error) {
		status, b := hs.Try(w, http.MethodPost, "/_matrix/client/v3/join/"+room.Matrix, alice.Token, struct{}{})
		if status != http.StatusOK {
			return fmt.Errorf("join: status %d: %s", status, b)
		}
		if tl, err = rooms.Read(ctx, hs.URL, alice.Token, room.Matrix); err == nil {
			err = whole(tl)
		}
		return err
	})
	return tl
}

// checkpoints are those that the Manager's room shows.
func (w *world) checkpoints(s *store.Store, hs *testenv.Homeserver, alice testenv.MatrixUser) (notes []string) {
	w.Helper()
	w.timeline(s, hs, alice, nouns.ManagerRoom, func(tl rooms.Timeline) error {
		notes = nil
		for _, m := range tl.Messages {
			if m.Checkpoint != nil {
				notes = append(notes, m.Checkpoint.Note)
			}
		}
		if len(notes) == 0 {
			return errors.New("it shows no checkpoint")
		}
		return nil
	})
	return notes
}

// verify has the log proved by what the Manager wrote down as its key, and by the
// checkpoints that its room keeps.
func (w *world) verify(kept []string) {
	w.Helper()
	var export bytes.Buffer
	w.must(w.api.ExportLog(w.Context(), &export))
	key, err := os.ReadFile(filepath.Join(w.dir, "log.key.pub"))
	w.must(err)
	report, err := audit.Verify(&export, audit.Trust{Key: strings.TrimSpace(string(key)), Checkpoints: kept}, nil)
	if err != nil || len(report.Findings) > 0 || report.Checkpoints <= len(kept) {
		w.Errorf("the log does not verify: %+v, %v", report, err)
	}
	w.Logf("%d entries verify, by %d checkpoints of which the room keeps %d", report.Entries, report.Checkpoints-len(kept), len(kept))
}

// keep adds what was measured to the file of dist that OUT names.
func keep(t *testing.T, measured any) {
	t.Helper()
	if out := os.Getenv("OUT"); out != "" {
		testenv.AddFigures(t, out, measured)
	}
}
