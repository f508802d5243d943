package channel_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/channel"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
)

var boss = store.Mutation{By: manager.Actor{ID: "boss", Name: "boss", Role: manager.Admin}}

type world struct {
	*testing.T
	store *store.Store
	url   string
	token string
	key   ed25519.PublicKey
	stop  chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, store: s, key: public, stop: make(chan struct{})}
	srv := httptest.NewUnstartedServer(channel.New(s, channel.Options{Key: private, Stop: w.stop}))
	srv.Config.ReadTimeout = 900 * time.Millisecond // shorter than any wait
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.mutate(func(ctx context.Context, tx *store.Tx) error {
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "edge"})
		w.token = g.Secret
		return err
	})
	return w
}

func (w *world) mutate(fn func(context.Context, *store.Tx) error) uint64 {
	w.Helper()
	gen, err := w.store.Mutate(w.Context(), boss, func(tx *store.Tx) error { return fn(w.Context(), tx) })
	if err != nil {
		w.Fatal(err)
	}
	return gen
}

func (w *world) consumer(id string) uint64 {
	w.Helper()
	return w.mutate(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: "worker"})
		return err
	})
}

// ask sends a request and checks the signature of a 200 or 204.
func (w *world) ask(r changes.Request) (changes.Answer, *http.Response) {
	w.Helper()
	r.Nonce = rand.Text()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+r.Target(), nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set(changes.NonceHeader, r.Nonce)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Error(err)
		return changes.Answer{}, &http.Response{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.Error(err)
	}
	a := changes.Answer{
		Status: res.StatusCode, Cursor: res.Header.Get(changes.CursorHeader),
		Consistent: res.Header.Get(changes.ConsistentHeader) == "true", Body: body,
	}
	if res.StatusCode < 300 {
		if err := changes.Verify(w.key, r, a, res.Header.Get(changes.SignatureHeader)); err != nil {
			w.Errorf("%s: %v", r.Target(), err)
		}
	}
	return a, res
}

// whole reads all that there is.
func (w *world) whole() *snapshot.Snapshot {
	w.Helper()
	a, _ := w.ask(changes.Request{})
	s, err := snapshot.Decode(a.Body)
	if err != nil || a.Status != 200 || !a.Consistent || s.Since != 0 {
		w.Fatalf("answer %d, consistent %v: %v", a.Status, a.Consistent, err)
	}
	return s
}

func TestEveryAnswerHasTheSessionKey(t *testing.T) {
	w := newWorld(t)
	w.consumer("first")
	all := w.whole()
	w.consumer("second")
	a, _ := w.ask(changes.Request{Epoch: all.Epoch, Since: all.Generation})
	delta, err := snapshot.Decode(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.SessionKey) != snapshot.SessionKeyBytes || !bytes.Equal(delta.SessionKey, all.SessionKey) {
		t.Errorf("the key is %x, then %x", all.SessionKey, delta.SessionKey)
	}
	b, _ := w.ask(changes.Request{For: snapshot.ForKeySwap})
	if s, err := snapshot.Decode(b.Body); err != nil || s.SessionKey != nil {
		t.Errorf("key-swap gets it too: %v", err)
	}
	if other := newWorld(t).whole(); bytes.Equal(other.SessionKey, all.SessionKey) {
		t.Error("a Manager with another signing key has the same")
	}
}

func TestAChangeWakesEveryGatewayThatWaits(t *testing.T) {
	w := newWorld(t)
	all := w.whole()
	const gateways = 100
	var ready, done sync.WaitGroup
	for range gateways {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			a, _ := w.ask(changes.Request{Epoch: all.Epoch, Since: all.Generation, Wait: 30})
			s, err := snapshot.Decode(a.Body)
			if err != nil || s.Since != all.Generation || s.Generation != all.Generation+1 || len(s.Consumers) != 1 || !a.Consistent {
				t.Errorf("answer %d %s, %v", a.Status, a.Body, err)
			}
		})
	}
	ready.Wait()
	w.consumer("w1")
	done.Wait()
}

// What a plugin does not use is not even sent to it: gate no ciphertext, key-swap
// no token and no grant.
func TestEachPluginHearsWhatItUses(t *testing.T) {
	w := newWorld(t)
	w.consumer("w1")
	w.mutate(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.IssueToken(ctx, manager.TokenSpec{Consumer: "w1"})
		return err
	})
	all := w.whole()
	want := map[snapshot.Audience]int{snapshot.Everyone: 1, snapshot.ForGate: 1, snapshot.ForKeySwap: 0}
	heard := func(a changes.Answer, audience snapshot.Audience) {
		t.Helper()
		s, err := snapshot.Decode(a.Body)
		if err != nil || len(s.Consumers) != 1 || len(s.Consumers[0].Tokens) != want[audience] {
			t.Errorf("for %q: %d %s, %v", audience, a.Status, a.Body, err)
		}
	}
	var done sync.WaitGroup
	for audience := range want {
		a, _ := w.ask(changes.Request{For: audience})
		heard(a, audience)
		done.Go(func() { // and so does who waits
			a, _ := w.ask(changes.Request{Epoch: all.Epoch, Since: all.Generation, Wait: 30, For: audience})
			heard(a, audience)
		})
	}
	w.mutate(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
		return err
	})
	done.Wait()
}

func TestNothingNewIsSaidSignedOnceTheWaitIsOver(t *testing.T) {
	w := newWorld(t)
	all := w.whole()
	a, _ := w.ask(changes.Request{Epoch: all.Epoch, Since: all.Generation, Wait: 1})
	if a.Status != http.StatusNoContent || !a.Consistent || len(a.Body) != 0 {
		t.Errorf("answer = %+v", a)
	}
	g, err := w.store.Gateway(t.Context(), "edge")
	if err != nil || g.Confirmed != all.Generation || g.Connection != "connected" || g.Behind != 0 {
		t.Errorf("gateway = %+v, %v", g, err)
	}
}

func TestAnotherEpochOrAGenerationToComeGetsAWhole(t *testing.T) {
	w := newWorld(t)
	all := w.whole()
	for _, r := range []changes.Request{
		{Epoch: "other", Since: all.Generation}, {Epoch: all.Epoch, Since: all.Generation + 7},
	} {
		a, _ := w.ask(r)
		if s, err := snapshot.Decode(a.Body); err != nil || s.Since != 0 || s.Epoch != all.Epoch {
			t.Errorf("%s = %d %s, %v", r.Target(), a.Status, a.Body, err)
		}
	}
}

func TestAWholeComesInPagesOfOneState(t *testing.T) {
	w := newWorld(t)
	label := strings.Repeat("x", 250)
	for i := range 12 {
		w.mutate(func(ctx context.Context, tx *store.Tx) error {
			for j := range 20 {
				labels := map[string]string{}
				for k := range 20 {
					labels[fmt.Sprintf("label%02d", k)] = label
				}
				spec := manager.ConsumerSpec{ID: fmt.Sprintf("w%d-%d", i, j), Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: labels}}
				if _, err := tx.CreateConsumer(ctx, spec); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var r changes.Request
	count, number := 0, 0
	for {
		a, _ := w.ask(r)
		s, err := snapshot.Decode(a.Body)
		if err != nil || a.Consistent || len(a.Body) > changes.MaxPage+1024 {
			t.Fatalf("page %d: %d bytes, cursor %q, consistent %v, %v", number, len(a.Body), a.Cursor, a.Consistent, err)
		}
		count, number = count+len(s.Consumers), number+1
		if r.Cursor = a.Cursor; a.Cursor == "" {
			r = changes.Request{Epoch: s.Epoch, Since: s.Generation}
			break
		}
		w.consumer(fmt.Sprintf("late%d", number)) // must not show in this answer
	}
	if count != 240 || number < 3 {
		t.Errorf("%d consumers in %d pages", count, number)
	}
	// The state moved on while the pages were read: it is whole with what changed
	// since, and not before.
	a, _ := w.ask(r)
	if s, err := snapshot.Decode(a.Body); err != nil || len(s.Consumers) != number-1 || !a.Consistent {
		t.Errorf("what changed since: %d %s, consistent %v, %v", a.Status, a.Body, a.Consistent, err)
	}
	if a, _ := w.ask(changes.Request{Cursor: "gone.1"}); a.Status != http.StatusGone {
		t.Errorf("a cursor that is no more: %d", a.Status)
	}
}

// mistyped is a token with another last character.
func mistyped(token string) string {
	last := "x"
	if strings.HasSuffix(token, last) {
		last = "y"
	}
	return token[:len(token)-1] + last
}

func TestOnlyKnownGatewaysAreAnswered(t *testing.T) {
	w := newWorld(t)
	good := w.token
	for _, token := range []string{"", "x", strings.Replace(good, "kwg_", "kwa_", 1), mistyped(good)} {
		w.token = token
		if a, res := w.ask(changes.Request{}); a.Status != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("token %q: %d", token, a.Status)
		}
	}
	w.mutate(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteGateway(ctx, "edge", 0) })
	w.token = good
	if a, _ := w.ask(changes.Request{}); a.Status != http.StatusUnauthorized {
		t.Errorf("a deleted gateway got %d", a.Status)
	}
}

func TestStoppingEndsWhatWaits(t *testing.T) {
	w := newWorld(t)
	all := w.whole()
	time.AfterFunc(50*time.Millisecond, func() { close(w.stop) })
	a, res := w.ask(changes.Request{Epoch: all.Epoch, Since: all.Generation, Wait: 30})
	if a.Status != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answer = %d", a.Status)
	}
}

func TestAWaitOutlivesTheServersReadTimeout(t *testing.T) {
	w := newWorld(t)
	have := w.whole()
	a, res := w.ask(changes.Request{Epoch: have.Epoch, Since: have.Generation, Wait: 1})
	if res.StatusCode != http.StatusNoContent || !a.Consistent {
		t.Errorf("answer = %d %q, want a signed 204", res.StatusCode, a.Body)
	}
}

func TestAnOpenRequestEndsWithItsToken(t *testing.T) {
	for name, end := range map[string]func(context.Context, *store.Tx) error{
		"rotated": func(ctx context.Context, tx *store.Tx) error { _, err := tx.RotateGateway(ctx, "edge", 0); return err },
		"deleted": func(ctx context.Context, tx *store.Tx) error { return tx.DeleteGateway(ctx, "edge", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			have := w.whole()
			status := make(chan int, 1)
			go func() {
				_, res := w.ask(changes.Request{Epoch: have.Epoch, Since: have.Generation, Wait: 50})
				status <- res.StatusCode
			}()
			for confirmed := uint64(0); confirmed != have.Generation; time.Sleep(time.Millisecond) {
				g, err := w.store.Gateway(t.Context(), "edge")
				if err != nil {
					t.Fatal(err)
				}
				confirmed = g.Confirmed
			}
			w.mutate(end)
			if got := <-status; got != http.StatusUnauthorized {
				t.Errorf("the open request was answered with %d, want 401", got)
			}
		})
	}
}

func TestAFloodOfWrongTokensIsTurnedAway(t *testing.T) {
	w := newWorld(t)
	w.whole() // the token is known to be right
	good, status := w.token, 0
	w.token = mistyped(good)
	for range 30 {
		a, _ := w.ask(changes.Request{})
		status = a.Status
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("after 30 wrong tokens: %d", status)
	}
	w.token = good
	w.whole()
}
