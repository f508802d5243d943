package channel_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/record"
	"keyward/policies"
)

// send posts a batch and returns the status of the answer.
func (w *world) send(token string, body []byte) int {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url+record.Path, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestAGatewaysRecordsAreKeptOnce(t *testing.T) {
	w := newWorld(t)
	rec := policies.Record{
		Type: policies.RecordDecision, ID: "01J", Time: time.Unix(1, 0).UTC(), Sequence: 1,
		Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Verdict: policies.Allow,
	}
	good := record.Encode("vm-1", record.Append(nil, &rec))
	before, err := w.store.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(good), `"decision_id"`, `"gateway":"other","decision_id"`, 1)
	for _, tt := range []struct {
		name, token string
		body        []byte
		want        int
	}{
		{"a batch", w.token, good, 204},
		{"the same batch again", w.token, good, 204},
		{"a batch in another gateway's name", w.token, []byte(forged), 400},
		{"no batch", w.token, []byte("{}"), 400},
		{"a batch beyond its bound", w.token, bytes.Repeat([]byte(" "), record.MaxBytes+1), 413},
		{"a batch of a stranger", manager.GatewayPrefix + "x", good, 401},
	} {
		if got := w.send(tt.token, tt.body); got != tt.want {
			t.Errorf("%s is answered %d, want %d", tt.name, got, tt.want)
		}
	}
	entries, err := w.store.Log(t.Context(), before, 10)
	if err != nil || len(entries) != 1 || entries[0].Gateway != "edge" || entries[0].VM != "vm-1" || entries[0].Record.ID != "01J" {
		t.Errorf("log = %+v, %v", entries, err)
	}
}

// A gateway's outbox and the Manager keep each record once, however often a
// batch or its answer is lost on the way.
func TestRecordsSurviveABadNetwork(t *testing.T) {
	w := newWorld(t)
	before, err := w.store.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	host := &filtertest.LiveHost{Host: filtertest.Host{Time: time.Now().UnixNano()}, Store: &filtertest.Store{}}
	bad := true
	host.Serve = func(c filter.Call) (filter.Answer, bool) {
		if bad && random.IntN(3) == 0 {
			return filter.Answer{Status: 503}, true // it did not arrive
		}
		status := w.send(w.token, c.Body)
		if bad && random.IntN(3) == 0 {
			return filter.Answer{Status: 504}, true // its answer did not
		}
		return filter.Answer{Status: status}, true
	}
	var stored uint64
	o := record.NewOutbox(host, func(_, last uint64) { stored = last })
	o.SendTo(record.Destination{Cluster: "manager", Authority: "manager", Token: w.token})
	const records = 500
	pass := func() {
		host.Time += int64(100 * time.Millisecond)
		o.Tick(host.Time, false)
	}
	for n := range records {
		r := policies.Record{Type: policies.RecordDecision, ID: fmt.Sprint(n), Time: time.Unix(1, 0).UTC(), Verdict: policies.Allow}
		o.Add(&r, o.Reserve(), host.Time)
		if n%5 == 0 {
			pass()
		}
	}
	for bad = false; stored < records; {
		pass()
	}
	entries, err := w.store.Log(t.Context(), before, 2*records)
	if err != nil || len(entries) != records {
		t.Fatalf("%d entries, %v, want %d", len(entries), err, records)
	}
	for i, e := range entries {
		if e.Record == nil || e.Record.ID != fmt.Sprint(i) || e.Record.Sequence != uint64(i)+1 {
			t.Fatalf("entry %d = %+v", i, e)
		}
	}
}
