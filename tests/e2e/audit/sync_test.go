package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/policies"
	"keyward/tests/testenv"
)

// An answer is what a Worker was answered.
type answer struct {
	text string
	err  error
}

// begin calls a tool of the sync target.
func (w *world) begin(tool string, ok bool) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		text, err := w.call(w.Context(), http.DefaultClient, "worker", syncTarget, tool, ok)
		done <- answer{text, err}
	}()
	return done
}

// logged are the decisions and cuts that the log has of a tool, once it has any.
func (w *world) logged(tool string) (told []string) {
	w.Helper()
	w.until("the log has "+tool, func(ctx context.Context) error {
		l, err := w.api.Log(ctx, client.LogFilter{Name: tool}, nouns.Page{})
		told = nil
		for _, e := range l.Items {
			if e.Kind != nouns.EntryOutcome {
				told = append(told, string(e.Kind)+" "+e.Record.Verdict.String())
			}
		}
		if err == nil && len(told) == 0 {
			err = fmt.Errorf("it has nothing")
		}
		return err
	})
	return told
}

// A target that asks for it: nothing goes on and nothing is told that is not in
// the log.
func TestSync(t *testing.T) {
	skipUnlessE2E(t)
	eachGateway(t, func(t *testing.T, start func(*world) (string, *testenv.Process)) {
		w := newWorld(t, "", start)
		net := newRelay(t, w.channel)
		w.channel = net.addr
		w.worker("worker", syncTarget)
		w.startGateway()
		w.await("worker", syncTarget)

		for _, tt := range []struct {
			tool string
			ok   bool
		}{{"slow-allowed", true}, {"slow-denied", false}} {
			meet, came, released := held(tt.tool)
			net.become(meet)
			done := w.begin(tt.tool, tt.ok)
			<-came
			select {
			case a := <-done:
				t.Errorf("%s: answered before it was stored: %s, %v", tt.tool, a.text, a.err)
			default:
			}
			if n := w.upstream.calls(tt.tool); n != 0 {
				t.Errorf("%s: the server was called %d times before it was stored", tt.tool, n)
			}
			close(released)
			a := <-done
			if allowed(a.text) != tt.ok || !tt.ok && !denied(a.text, policies.NotGranted) || w.upstream.calls(tt.tool) != map[bool]int{true: 1}[tt.ok] {
				t.Errorf("%s: then answered %s, %v; %d calls", tt.tool, a.text, a.err, w.upstream.calls(tt.tool))
			}
			if got := w.logged(tt.tool); len(got) != 1 {
				t.Errorf("%s: the log has %q", tt.tool, got)
			}
		}

		// The Manager stores records and its answers are lost: once each, and only
		// then they go on.
		net.become(deaf)
		done := w.begin("deaf", true)
		if got := w.logged("deaf"); len(got) != 1 || w.upstream.calls("deaf") != 0 {
			t.Errorf("answers lost: the log has %q, the server was called %d times", got, w.upstream.calls("deaf"))
		}
		net.become(nil)
		if a := <-done; !allowed(a.text) || w.upstream.calls("deaf") != 1 {
			t.Errorf("answers lost: then answered %s, %v; %d calls", a.text, a.err, w.upstream.calls("deaf"))
		}
		if got := w.logged("deaf"); len(got) != 1 {
			t.Errorf("answers lost: the log has %q", got)
		}

		net.become(down)
		a := <-w.begin("down", true)
		if !denied(a.text, policies.AuditFull) || w.upstream.calls("down") != 0 {
			t.Errorf("Manager down: answered %s, %v; %d calls", a.text, a.err, w.upstream.calls("down"))
		}
		net.become(nil)
		w.until("both records of a call that timed out", func(context.Context) error {
			if got := fmt.Sprint(w.logged("down")); got != "[decision allow cut deny]" {
				return fmt.Errorf("the log has %s", got)
			}
			return nil
		})

		// The gateway dies while the record is on its way.
		meet, came, released := held("killed")
		net.become(meet)
		done = w.begin("killed", true)
		<-came
		w.gateway.Kill()
		close(released)
		net.become(nil)
		if a := <-done; a.err == nil {
			t.Errorf("gateway killed: answered %s", a.text)
		}
		w.startGateway()
		w.await("worker", syncTarget)
		if a := <-w.begin("again", true); !allowed(a.text) || w.upstream.calls("killed") != 0 {
			t.Errorf("gateway killed: then answered %s, %v; the call went on %d times", a.text, a.err, w.upstream.calls("killed"))
		}
		if w.upstream.refused > 0 {
			t.Errorf("the server got %d requests without its real key", w.upstream.refused)
		}
	})
}
