package faults_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// TestADatabaseThatIsGone: PostgreSQL dies under several writers. Gateways go on,
// nobody is told of a change that is not there, no change is there without its
// event; back, the same Managers go on and hear each other.
func TestADatabaseThatIsGone(t *testing.T) {
	pg := testenv.NeedPostgreSQL(t)
	dsn := pg.Database(t)
	s, other := open(t, dsn), open(t, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		other.Listen(ctx, func(error) {})
	}()
	defer func() {
		cancel()
		<-listening
	}()
	g := newGateway(t, s)
	create(t, s, "w1")
	defer g.follow(s)()
	g.poll()
	g.check("at first", "w1", "active")

	const writers = 3
	var mu sync.Mutex
	var answered []string
	var wg sync.WaitGroup
	some := make(chan struct{}, 1)
	for n := range writers {
		wg.Go(func() { // until a change fails
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%d-%d", n, i)
				_, err := s.Mutate(ctx, boss, func(tx *store.Tx) error {
					_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: "worker"})
					return err
				})
				if err != nil {
					return
				}
				mu.Lock()
				if answered = append(answered, id); len(answered) == 20 {
					some <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	<-some
	pg.Crash()
	wg.Wait()
	if err := s.Ready(ctx); err == nil {
		t.Error("the store is ready without a database")
	}
	g.host.Answer(filter.Answer{Status: 503}) // as the Manager answers the poll that is open
	g.check("without a database", "w1", "active")

	pg.Start(t)
	changed := other.Changed()
	wait, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if err := testenv.Await(wait, func(ctx context.Context) error { return s.Ready(ctx) }); err != nil {
		t.Fatal(err)
	}
	events := map[string]bool{}
	for page := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.Events(ctx, store.EventFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Items {
			events[e.Object] = events[e.Object] || e.Action == "consumer.create"
		}
		if page.After = l.After; l.After == "" {
			break
		}
	}
	there := func(id string) bool {
		_, err := s.Consumer(ctx, id)
		if err != nil && !errors.Is(err, manager.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	for _, id := range answered {
		if !there(id) {
			t.Errorf("%s was answered and is lost", id)
		}
	}
	for n := range writers {
		for i := 0; ; i++ {
			id := fmt.Sprintf("c%d-%d", n, i)
			if there(id) != events[id] {
				t.Errorf("%s is there: %t, and its event: %t", id, there(id), events[id])
			}
			if !there(id) {
				break
			}
		}
	}
	mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
		return err
	})
	select {
	case <-changed:
	case <-wait.Done():
		t.Error("the other Manager does not hear of changes any more")
	}
	g.poll()
	g.check("back", "w1", "suspended")
}
