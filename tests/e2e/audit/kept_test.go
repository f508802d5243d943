package audit_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/e2e/setup"
	"keyward/tests/testenv"
)

// What the policy's mask takes from arguments before they leave the gateway.
const mask = `package keyward.log

mask contains "/input/mcp/arguments/patient"

mask contains {"op": "upsert", "path": "/input/mcp/arguments/body", "value": "hidden"} if input.input.mcp.name == "send"
`

// audit sets what a target decides about its records.
func (w *world) audit(target string, a snapshot.Audit) {
	w.Helper()
	t, err := w.api.Target(w.Context(), target)
	w.must(err)
	t.Audit = &a
	_, _, err = w.api.UpdateTarget(w.Context(), client.Request{}, target, t.TargetSpec)
	w.must(err)
}

// recorded are the log's entries of a tool, or of a path, once one is a decision.
func (w *world) recorded(f client.LogFilter) (list []nouns.LogEntry) {
	w.Helper()
	w.until(fmt.Sprintf("the log has %+v", f), func(ctx context.Context) error {
		l, err := w.api.Log(ctx, f, nouns.Page{Limit: nouns.MaxPage})
		list = l.Items
		if err == nil && !slices.ContainsFunc(list, func(e nouns.LogEntry) bool { return e.Kind == nouns.EntryDecision }) {
			err = fmt.Errorf("it has %d entries of it", len(list))
		}
		return err
	})
	return list
}

// TestWhatIsKeptOfACall looks at whole records: what happened, and nothing that the
// policy or a pattern says is not to be kept.
func TestWhatIsKeptOfACall(t *testing.T) {
	skipUnlessE2E(t)
	eachGateway(t, func(t *testing.T, start func(*world) (string, *testenv.Process)) {
		w := newWorld(t, "", start)
		policy := setup.Policy(w, w.api, map[string]string{"mask.rego": mask})
		w.audit(looseTarget, snapshot.Audit{Arguments: true})
		w.worker("worker", looseTarget)
		w.startGateway()
		w.await("worker", looseTarget)
		token, _ := w.tokens.Load("worker")
		url := *w.url.Load() + "/" + looseTarget
		call := func(token, tool, arguments string) string {
			t.Helper()
			answer, err := w.post(t.Context(), http.DefaultClient, url, token,
				fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments))
			w.must(err)
			return answer
		}
		secret := "ghp_" + strings.Repeat("a1B2", 9)
		password := rand.Text()
		arguments := fmt.Sprintf(`{"ok":true,"patient":{"name":"Jane"},"body":"dear Jane","note":"use %s","password":%q}`, secret, password)
		began := time.Now()
		if answer := call(token.(string), "send", arguments); !allowed(answer) {
			t.Fatalf("answered %s", answer)
		}
		e := w.recorded(client.LogFilter{Name: "send"})[0]
		r := *e.Record
		for what, ok := range map[string]bool{
			"gateway": e.Gateway == "edge", "VM": e.VM != "", "sequence": r.Sequence > 0, "ID": len(r.ID) == 26, "generation": r.Generation > 0,
			"duration": r.Duration > 0 && r.Duration < time.Since(began), "time": r.Time.After(began.Add(-time.Second)) && !e.Time.Before(r.Time.Truncate(time.Millisecond)),
			"rules": len(r.Rules) > 0 && strings.HasPrefix(r.Rules[0], "policy.rego:"), "host": r.Host == "127.0.0.1",
			"bytes": r.RequestBytes > 200 && r.ResponseBytes > 20,
		} {
			if !ok {
				t.Errorf("%s is not as it should be: %+v of %s, VM %q, stored %s", what, r, e.Gateway, e.VM, e.Time)
			}
		}
		sum := sha256.Sum256(fmt.Appendf(nil, `{"body":"dear Jane","note":"use %s","ok":true,"password":%q,"patient":{"name":"Jane"}}`, secret, password))
		want := policies.Record{
			Type: policies.RecordDecision, Kind: policies.KindMCP, Consumer: "worker", Target: looseTarget, Method: "tools/call", Name: "send",
			Verdict: policies.Allow, Policy: policy, Status: 200, Digest: hex.EncodeToString(sum[:]),
			Arguments: `{"body":"hidden","note":"use ***","ok":true,"password":"***"}`,
			Erased:    []string{"/arguments/patient"}, Masked: []string{"/arguments/body", "/arguments/note", "/arguments/password"},
		}
		r.ID, r.Time, r.Sequence, r.Host, r.Generation, r.Duration, r.Rules, r.RequestBytes, r.ResponseBytes = "", time.Time{}, 0, "", 0, 0, nil, 0, 0
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}

		// A refusal, and somebody whom nobody knows.
		if answer := call(token.(string), "refused", `{"ok":false,"patient":"Jane"}`); !denied(answer, policies.NotGranted) {
			t.Errorf("answered %s", answer)
		}
		if r := w.recorded(client.LogFilter{Name: "refused"})[0].Record; r.Verdict != policies.Deny || r.Reason != policies.NotGranted || r.Arguments != `{"ok":false}` || r.Status != 200 {
			t.Errorf("record of a refusal: %+v", r)
		}
		if answer := call("", "send", `{"ok":true}`); !strings.Contains(answer, string(policies.TokenMissing)) {
			t.Errorf("answered %s", answer)
		}
		if r := w.recorded(client.LogFilter{Reason: string(policies.TokenMissing)})[0].Record; r.Verdict != policies.Deny || r.Consumer != "" || r.Arguments != "" {
			t.Errorf("record of nobody: %+v", r)
		}

		// Nothing that was masked is anywhere that the Manager keeps.
		w.manager.Kill()
		w.clean([]string{secret, password, "Jane"})
	})
}

// clean looks for text in everything in the Manager's folder.
func (w *world) clean(secrets []string) {
	w.Helper()
	files, err := os.ReadDir(w.dir)
	w.must(err)
	looked := 0
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(w.dir, f.Name()))
		w.must(err)
		looked += len(b)
		for i, s := range secrets {
			if strings.Contains(string(b), s) {
				w.Errorf("%s holds secret %d", f.Name(), i)
			}
		}
	}
	if looked < 100_000 {
		w.Errorf("only %d bytes were looked at", looked)
	}
}
