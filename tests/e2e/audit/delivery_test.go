package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/tests/testenv"
)

// A delivery is what dist/audit.json holds of the way from a gateway's VM into the
// log, in milliseconds from the end of a call to its record being stored.
type delivery struct {
	Calls  int     `json:"delivery_calls"`
	Median float64 `json:"delivery_p50_ms"`
	P99    float64 `json:"delivery_p99_ms"`
	Most   float64 `json:"delivery_most_ms"`
}

// TestMeasureDelivery looks how soon the log has the record of a call that did not
// wait for it, behind a real Envoy.
func TestMeasureDelivery(t *testing.T) {
	skipUnlessE2E(t)
	calls := testenv.Number(t, "DELIVERIES", 100)
	w := newWorld(t, "", startEnvoy)
	w.worker("worker", looseTarget)
	w.startGateway()
	w.await("worker", looseTarget)
	for i := range calls {
		text, err := w.call(t.Context(), http.DefaultClient, "worker", looseTarget, fmt.Sprintf("call-%d", i), true)
		if err != nil || !allowed(text) {
			t.Fatalf("answered %s, %v", text, err)
		}
		time.Sleep(7 * time.Millisecond) // so that calls meet every moment between two batches
	}
	var took []float64
	w.until("the log has all calls", func(ctx context.Context) error {
		entries, err := client.All(ctx, func(ctx context.Context, p nouns.Page) (nouns.List[nouns.LogEntry], error) {
			return w.api.Log(ctx, client.LogFilter{Kind: nouns.EntryDecision, Consumer: "worker"}, p)
		})
		took = nil
		for _, e := range entries {
			if e.Record.Name != "first" {
				took = append(took, float64(e.Time.Sub(e.Record.Time.Add(e.Record.Duration)))/float64(time.Millisecond))
			}
		}
		if err == nil && len(took) < calls {
			err = fmt.Errorf("it has %d of %d", len(took), calls)
		}
		return err
	})
	slices.Sort(took)
	d := delivery{Calls: len(took), Median: took[len(took)/2], P99: took[len(took)*99/100], Most: took[len(took)-1]}
	if d.Calls != calls {
		t.Errorf("the log has %d records of %d calls", d.Calls, calls)
	}
	t.Logf("%+v", d)
	keep(t, d)
}
