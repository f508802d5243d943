package workers_test

import (
	"fmt"
	"testing"

	"keyward/manager"
	"keyward/policies"
)

// metered checks that the log tells what a Worker's chat took.
func (w *world) metered(t *testing.T, worker string) {
	t.Helper()
	want := policies.Tokens{Input: uint64(len("hello there")), Output: uint64(len("You said: hello there"))}
	w.until(t, "the log tells what the chat took", func() error {
		entries, err := w.Store.Log(t.Context(), 0, manager.MaxPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if r := e.Record; r != nil && r.Consumer == manager.ConsumerPrefix+worker && r.Kind == policies.KindLLM {
				if r.Tokens == nil || *r.Tokens != want {
					t.Fatalf("it took %+v of %q, want %+v", r.Tokens, r.Model, want)
				}
				return nil
			}
		}
		return fmt.Errorf("no such record in %d", len(entries))
	})
}
