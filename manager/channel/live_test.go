package channel_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/live"
	"keyward/plugins/snapshot"
)

// answerNext makes the oldest call of a VM as its host would, over the network.
func (w *world) answerNext(h *filtertest.LiveHost) {
	w.Helper()
	if len(h.Calls) != 1 {
		w.Fatalf("%d calls are open, want 1", len(h.Calls))
	}
	var path string
	header := http.Header{}
	for _, f := range h.Calls[0].Headers {
		if f[0] == ":path" {
			path = f[1]
		} else if !strings.HasPrefix(f[0], ":") {
			header.Add(f[0], f[1])
		}
	}
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	a := filter.Answer{Status: res.StatusCode, Body: body}
	for name, values := range res.Header {
		a.Headers = append(a.Headers, [2]string{strings.ToLower(name), values[0]})
	}
	h.Answer(a)
}

// A gateway's poller and the Manager's channel understand each other: a change
// is in force in every VM once its answer is there, and confirmed by the next
// request.
func TestAGatewayFollowsTheManager(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UnixNano()
	shared := &filtertest.Store{}
	h := &filtertest.LiveHost{Host: filtertest.Host{Time: now}, Store: shared}
	config := &live.Config{Cluster: "manager", Authority: "manager.internal", Key: w.key, MaxStale: time.Minute}
	poller := live.NewPoller(h, config, w.token, snapshot.Everyone)
	reader := live.NewReader(shared, w.token, snapshot.Everyone, time.Minute, func(line string) { t.Log(line) })
	state := func(id string) snapshot.State {
		t.Helper()
		v, reason, _ := reader.View(h.Time)
		if v == nil {
			t.Fatalf("no view: %s", reason)
		}
		c, ok := v.ConsumerByID(id)
		if !ok {
			return ""
		}
		return c.State
	}
	for range 100 { // the lease, then the first question
		if h.Time += int64(50 * time.Millisecond); len(h.Calls) == 0 {
			poller.Tick()
		}
	}
	w.answerNext(h)
	if s := state("w1"); s != "" {
		t.Errorf("before it exists: %q", s)
	}
	created := w.consumer("w1")
	w.answerNext(h)
	if s := state("w1"); s != snapshot.Active {
		t.Errorf("created: %q", s)
	}
	suspended := w.mutate(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
		return err
	})
	w.answerNext(h)
	if s := state("w1"); s != snapshot.Suspended {
		t.Errorf("suspended: %q", s)
	}
	g, err := w.store.Gateway(t.Context(), "edge")
	if err != nil || g.Confirmed != created {
		t.Errorf("confirmed %d, want %d; %v", g.Confirmed, created, err)
	}
	w.mutate(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteConsumer(ctx, "w1", 0) })
	w.answerNext(h)
	if s := state("w1"); s != "" {
		t.Errorf("deleted: %q", s)
	}
	if g, err = w.store.Gateway(t.Context(), "edge"); err != nil || g.Confirmed != suspended {
		t.Errorf("confirmed %d, want %d; %v", g.Confirmed, suspended, err)
	}
	if _, err := w.store.NewEpoch(t.Context(), store.Mutation{By: manager.Self}); err != nil {
		t.Fatal(err)
	}
	w.consumer("w2")
	w.answerNext(h)
	if s := state("w2"); s != snapshot.Active {
		t.Errorf("in a new epoch: %q", s)
	}
}
