package e2e_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/matrix/message"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/testenv"
)

// llm records that a consumer asked an LLM; empty: nobody whom the gateway knows.
func (w *matrixWorld) llm(t *testing.T, consumer string, n int) {
	t.Helper()
	var list []policies.Record
	for range n {
		w.seq++
		r := policies.Record{
			Type: policies.RecordDecision, ID: fmt.Sprintf("d%d", w.seq), Time: time.Now().UTC(), Sequence: w.seq,
			Kind: policies.KindLLM, Consumer: consumer, Target: "llm", Method: "POST", Name: "/v1/chat/completions", Verdict: policies.Allow,
		}
		if consumer == "" {
			r.Verdict, r.Reason = policies.Deny, policies.Reason("token_missing")
		}
		list = append(list, r)
	}
	if err := w.AppendRecords(t.Context(), "gateway", "vm", list); err != nil {
		t.Fatal(err)
	}
}

func (w *matrixWorld) set(t *testing.T, id string, spec manager.RoomSpec) {
	t.Helper()
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.UpdateRoom(ctx, id, 0, spec)
		return err
	})
}

// counts waits until a room's digests count so many entries.
func (w *matrixWorld) counts(t *testing.T, place string, want int) {
	t.Helper()
	w.until(t, "digests", func(context.Context) error {
		if n := w.timeline(t, place).Counted; n != want {
			return fmt.Errorf("%d are counted, want %d", n, want)
		}
		return nil
	})
}

func TestDigestsBySetting(t *testing.T) {
	skipUnlessE2E(t)
	w := newMatrixWorld(t, testenv.StartDendrite(t))
	w.worker(t, "worker-a")
	w.serve(t)
	own, home := w.placed(t, "worker:worker-a"), w.placed(t, "manager")
	w.set(t, "worker:worker-a", manager.RoomSpec{DigestSeconds: 1})
	w.set(t, "manager", manager.RoomSpec{DigestSeconds: 1})
	w.llm(t, "worker-a", 50)
	w.llm(t, "", 20)
	w.calls(t, "worker-a", 3) // are never counted
	w.settled(t)
	w.counts(t, own, 50)
	w.counts(t, home, 20)
	w.shows(t, own, 3)

	w.set(t, "worker:worker-a", manager.RoomSpec{EachLLM: true})
	w.llm(t, "worker-a", 4)
	w.settled(t)
	w.counts(t, own, 50)
	w.shows(t, own, 7)
}

func TestSharedRooms(t *testing.T) {
	skipUnlessE2E(t)
	w := newMatrixWorld(t, testenv.StartDendrite(t))
	for _, id := range []string{"worker-a", "worker-b", "worker-c"} {
		w.worker(t, id)
	}
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateRoom(ctx, manager.NewRoom{ID: "team", RoomSpec: manager.RoomSpec{Members: []string{"worker-a", "worker-b"}, Calls: true}})
		return err
	})
	w.serve(t)
	place := w.placed(t, "shared:team")
	joined := func(worker, want string) {
		t.Helper()
		user := "@keyward-" + worker + ":" + w.hs.Name
		w.until(t, worker, func(context.Context) error {
			if m := w.members(t, place)[user]; m != want {
				return fmt.Errorf("membership %q, want %q", m, want)
			}
			return nil
		})
	}
	joined("worker-a", "join")
	joined("worker-b", "join")
	joined("worker-c", "")
	for _, id := range []string{"worker-a", "worker-b", "worker-c"} {
		w.calls(t, id, 2)
	}
	w.settled(t)
	w.shows(t, place, 4)
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetRoomMember(ctx, "shared:team", 0, "worker-b", false)
		return err
	})
	joined("worker-b", "leave")
	w.calls(t, "worker-b", 2)
	w.calls(t, "worker-a", 2)
	w.settled(t)
	w.shows(t, place, 6)
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRoom(ctx, "shared:team", 0) })
	w.calls(t, "worker-a", 2)
	w.settled(t)
	w.shows(t, place, 6)
	w.shows(t, w.placed(t, "worker:worker-a"), 6)
}

func TestCheckpointsInTheManagersRoom(t *testing.T) {
	skipUnlessE2E(t)
	w := newMatrixWorld(t, testenv.StartDendrite(t))
	var size atomic.Uint64
	w.opt.CheckpointEvery = 100 * time.Millisecond
	w.opt.Checkpoint = func(context.Context) (message.Checkpoint, time.Time, error) {
		if size.Load() == 0 {
			return message.Checkpoint{}, time.Time{}, manager.ErrNotFound
		}
		return message.Checkpoint{Size: size.Load(), Note: fmt.Sprintf("keyward\n%d\nroot\n\nsignature", size.Load())}, time.Now(), nil
	}
	stop := w.serve(t)
	home := w.placed(t, "manager")
	shown := func(want uint64) (n int) {
		t.Helper()
		w.until(t, "a checkpoint", func(context.Context) error {
			n = 0
			var last uint64
			for _, m := range w.timeline(t, home).Messages {
				if m.Checkpoint != nil {
					n++
					last = m.Checkpoint.Size
				}
			}
			if last != want {
				return fmt.Errorf("the last is of %d entries, want %d", last, want)
			}
			return nil
		})
		return n
	}
	size.Store(7)
	shown(7)
	size.Store(9)
	if n := shown(9); n != 2 {
		t.Errorf("%d checkpoints are shown, want 2", n)
	}
	stop()
}
