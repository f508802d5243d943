package faults_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/channel"
	"keyward/manager/store"
	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/live"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

var boss = store.Mutation{By: manager.Actor{ID: "boss", Name: "boss", Role: manager.Admin}}

// open opens a store.
func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mutate(t *testing.T, s *store.Store, fn func(context.Context, *store.Tx) error) uint64 {
	t.Helper()
	gen, err := s.Mutate(t.Context(), boss, func(tx *store.Tx) error { return fn(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	return gen
}

func create(t *testing.T, s *store.Store, id string) uint64 {
	t.Helper()
	return mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: "worker"})
		return err
	})
}

// A gateway is one VM that follows whatever Manager is there, over the network,
// by a clock of its own.
type gateway struct {
	*testing.T
	host   *filtertest.LiveHost
	poller *live.Poller
	reader *live.Reader
	key    ed25519.PrivateKey
	url    string // of the Manager; "": it is down
}

func newGateway(t *testing.T, s *store.Store) *gateway {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var token string
	mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "edge"})
		token = g.Secret
		return err
	})
	h := &filtertest.LiveHost{Host: filtertest.Host{Time: time.Now().UnixNano()}, Store: &filtertest.Store{}}
	c := &live.Config{Cluster: "manager", Authority: "manager", Key: public, MaxStale: 15 * time.Minute}
	return &gateway{
		T: t, host: h, key: private, poller: live.NewPoller(h, c, token, snapshot.Everyone),
		reader: live.NewReader(h.Store, token, snapshot.Everyone, c.MaxStale, func(line string) { t.Log(line) }),
	}
}

// follow lets it follow a Manager with this store.
func (g *gateway) follow(s *store.Store) (stop func()) {
	srv := httptest.NewServer(channel.New(s, channel.Options{Key: g.key, Stop: g.Context().Done()}))
	g.url = srv.URL
	return func() {
		g.url = ""
		srv.CloseClientConnections()
		srv.Close()
	}
}

// pass lets time go by; polls of a Manager that is down fail at once.
func (g *gateway) pass(d time.Duration) {
	for end := g.host.Time + int64(d); g.host.Time < end; {
		g.host.Time += int64(100 * time.Millisecond)
		g.poller.Tick()
		if g.url == "" && len(g.host.Calls) > 0 {
			g.host.Answer(filter.Answer{Status: 503})
		}
	}
}

// poll makes the open poll, without waiting for changes that are not there.
func (g *gateway) poll() {
	g.Helper()
	for range 1000 {
		if len(g.host.Calls) > 0 {
			break
		}
		g.pass(100 * time.Millisecond)
	}
	if len(g.host.Calls) != 1 {
		g.Fatalf("%d polls are open, want 1", len(g.host.Calls))
	}
	ctx, cancel := context.WithTimeout(g.Context(), time.Minute)
	defer cancel()
	var path string
	header := http.Header{}
	for _, f := range g.host.Calls[0].Headers {
		if f[0] == ":path" {
			path = f[1]
		} else if !strings.HasPrefix(f[0], ":") {
			header.Add(f[0], f[1])
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+path, nil)
	if err != nil {
		g.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.Fatal(err)
	}
	a := filter.Answer{Status: res.StatusCode, Body: body}
	for name, values := range res.Header {
		a.Headers = append(a.Headers, [2]string{strings.ToLower(name), values[0]})
	}
	g.host.Answer(a)
}

// consumer is the state of one as the gateway knows it, "unknown", or why it
// knows nothing.
func (g *gateway) consumer(id string) string {
	g.Helper()
	v, reason, _ := g.reader.View(g.host.Time)
	if v == nil {
		return string(reason)
	}
	c, ok := v.ConsumerByID(id)
	if !ok {
		return "unknown"
	}
	return string(c.State)
}

func (g *gateway) check(when, id, want string) {
	g.Helper()
	if got := g.consumer(id); got != want {
		g.Errorf("%s: %s is %q, want %q", when, id, got, want)
	}
}

func TestAManagerThatIsDownForAnHour(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "keyward.db"))
	g := newGateway(t, s)
	create(t, s, "w1")
	stop := g.follow(s)
	g.poll()
	g.check("at first", "w1", "active")
	stop()
	g.host.Answer(filter.Answer{Status: 503}) // the poll that was open
	g.pass(14 * time.Minute)
	g.check("down for less than max_stale", "w1", "active")
	g.pass(46 * time.Minute)
	g.check("down for an hour", "w1", string(policies.SnapshotStale))
	mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
		return err
	})
	defer g.follow(s)()
	g.poll()
	g.check("back", "w1", "suspended")
}

// A backup does not know what was revoked after it: it comes back in a new epoch,
// and a gateway takes all of it rather than to hold on to generations that never
// were.
func TestAManagerFromABackup(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "keyward.db"))
	g := newGateway(t, s)
	create(t, s, "w1")
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"w2", "w3", "w4"} {
		create(t, s, id)
	}
	stop := g.follow(s)
	g.poll()
	g.check("before", "w4", "active")
	stop()
	g.host.Answer(filter.Answer{Status: 503})
	if err := store.Restore(t.Context(), filepath.Join(dir, "backup.db"), filepath.Join(dir, "restored.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	restored := open(t, filepath.Join(dir, "restored.db"))
	defer g.follow(restored)()
	g.poll()
	g.check("after", "w1", "active")
	g.check("after", "w4", "unknown")
	create(t, restored, "w5")
	g.poll()
	g.check("after a change", "w5", "active")
}

func TestTwoManagersOfOneDatabase(t *testing.T) {
	dsn := testenv.NeedPostgreSQL(t).Database(t)
	one, other := open(t, dsn), open(t, dsn)
	g := newGateway(t, one)
	ctx, cancel := context.WithCancel(t.Context())
	ended, lost := make(chan struct{}), make(chan error, 100)
	listening := other.Changed() // given once when it listens
	go func() {
		defer close(ended)
		other.Listen(ctx, func(err error) { lost <- err })
	}()
	defer func() {
		cancel()
		<-ended
	}()
	heard := func(what string, changed <-chan struct{}) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("the other Manager does not hear: %s", what)
		}
	}
	heard("that it listens", listening)
	changed := other.Changed()
	create(t, one, "w1")
	heard("a change", changed)

	// A gateway may ask either of them, and what it told one the other knows.
	stop := g.follow(one)
	g.poll()
	stop()
	g.host.Answer(filter.Answer{Status: 503})
	defer g.follow(other)()
	create(t, one, "w2")
	g.poll()
	g.check("from the other Manager", "w2", "active")
	last := mutate(t, other, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
		return err
	})
	g.poll()
	g.check("suspended at the other", "w1", "suspended")
	create(t, one, "w3")
	g.poll()
	seen, err := one.Gateway(t.Context(), "edge")
	if err != nil || len(seen.Instances) != 1 || seen.Confirmed != last {
		t.Errorf("one Manager knows of %+v, %v; want generation %d confirmed", seen, err, last)
	}
}
