package audit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// Records with as long arguments as are kept, and the least and the most of them that
// a VM keeps in its 4 MiB while nobody takes them.
const (
	padding  = policies.MaxRecordArguments - 200
	fewKept  = 900
	manyKept = 1_100
)

// TestNobodyTakesRecords fills the buffer of one VM of a real Envoy while the
// Manager takes nothing. Then a target either denies or loses records, as it chose;
// what was lost is missed by its number, and nothing else is.
func TestNobodyTakesRecords(t *testing.T) {
	skipUnlessE2E(t)
	w := newWorld(t, "", startEnvoy)
	net := newRelay(t, w.channel)
	w.channel = net.addr
	const strict, lossy = looseTarget, syncTarget
	w.audit(strict, snapshot.Audit{Arguments: true})
	w.audit(lossy, snapshot.Audit{Arguments: true, Lossy: true})
	w.worker("strict", strict)
	w.worker("lossy", lossy)
	w.startGateway()
	// One connection leads to one thread, and so to one VM.
	one := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1}}
	defer one.CloseIdleConnections()
	call := func(worker, target, tool string) string {
		t.Helper()
		token, _ := w.tokens.Load(worker)
		text, err := w.post(t.Context(), one, *w.url.Load()+"/"+target, token.(string), fmt.Sprintf(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"ok":true,"text":%q}}}`, tool, strings.Repeat("x", padding)))
		w.must(err)
		return text
	}
	for worker, target := range map[string]string{"strict": strict, "lossy": lossy} {
		w.until("a first call", func(context.Context) error {
			if res := call(worker, target, "first"); !allowed(res) {
				return fmt.Errorf("answered %.300s", res)
			}
			return nil
		})
	}

	net.become(down)
	taken := 0
	for {
		answer := call("strict", strict, fmt.Sprintf("kept-%d", taken))
		if denied(answer, policies.AuditFull) {
			break
		}
		if !allowed(answer) || taken == manyKept {
			t.Fatalf("call %d without a Manager: answered %s", taken, answer)
		}
		taken++
	}
	if taken < fewKept {
		t.Errorf("after %d calls nothing could be recorded any more", taken)
	}
	if n := w.upstream.calls(fmt.Sprintf("kept-%d", taken)); n != 0 {
		t.Errorf("a call that could not be recorded reached the server %d times", n)
	}
	const lost = 5
	for i := range lost {
		tool := fmt.Sprintf("lost-%d", i)
		if answer := call("lossy", lossy, tool); !allowed(answer) || w.upstream.calls(tool) != 1 {
			t.Errorf("a call of a lossy target: answered %s", answer)
		}
	}

	net.become(nil)
	w.until("calls are recorded again", func(context.Context) error {
		if answer := call("strict", strict, "again"); !allowed(answer) {
			return fmt.Errorf("answered %.300s", answer)
		}
		return nil
	})
	var entries []nouns.LogEntry
	w.until("the log has all that was kept", func(ctx context.Context) (err error) {
		entries, err = client.All(ctx, func(ctx context.Context, p nouns.Page) (nouns.List[nouns.LogEntry], error) {
			return w.api.Log(ctx, client.LogFilter{}, p)
		})
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, e := range entries {
			there[name(e)] = true
		}
		for i := range taken {
			if tool := fmt.Sprintf("kept-%d", i); !there[tool] {
				return fmt.Errorf("%s went on and is not there", tool)
			}
		}
		if !there["again"] {
			return errors.New("it lacks the last call")
		}
		return nil
	})
	missing := numbered(t, entries)
	if missing < lost {
		t.Errorf("the log misses %d records, at least %d were lost", missing, lost)
	}
	t.Logf("%d calls were kept, %d records lost and missed", taken, missing)
}

func name(e nouns.LogEntry) string {
	if e.Record == nil {
		return ""
	}
	return e.Record.Name
}

// numbered checks that each number of each VM up to its highest is in the log once,
// as a record or as missing. It returns how many are missing.
func numbered(t *testing.T, entries []nouns.LogEntry) (missing int) {
	t.Helper()
	times := map[string]map[uint64]int{} // by VM
	for _, e := range entries {
		var first, last uint64
		switch {
		case e.Record != nil:
			first, last = e.Record.Sequence, e.Record.Sequence
		case e.Gap != nil && !e.Gap.Open:
			first, last = e.Gap.First, e.Gap.Last
			missing += int(last - first + 1)
		default:
			continue
		}
		if times[e.VM] == nil {
			times[e.VM] = map[uint64]int{}
		}
		for n := first; n <= last; n++ {
			times[e.VM][n]++
		}
	}
	for vm, seen := range times {
		for n := range uint64(len(seen)) {
			if seen[n+1] != 1 {
				t.Fatalf("of %d numbers of VM %s number %d is in the log %d times", len(seen), vm, n+1, seen[n+1])
			}
		}
	}
	return missing
}
