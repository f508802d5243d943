package admission

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter/filtertest"
	"keyward/plugins/live"
	"keyward/plugins/record"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/engine"
)

// A stream is used again, and so must know nothing of the one before it.
func TestAStreamBeginsWithNothing(t *testing.T) {
	g := New(&filtertest.Host{}).(*Gate)
	x := g.NewStream(filtertest.NewStream()).(*stream)
	x.token, x.consumer, x.target = "kwt_secret", &snapshot.Consumer{}, &snapshot.Target{}
	x.req.strip, x.req.credentials = append(x.room.strip[:0], "cookie"), append(x.room.credentials[:0], credential{"kwt_secret", true})
	x.settled, x.answer, x.ending, x.account.reserved = admitted, &x.room.answer, policies.Internal, true
	g.open.add(x)
	x.Done()
	if g.open.first != nil {
		t.Error("it is still open")
	}

	s := filtertest.NewStream()
	y := g.NewStream(s).(*stream)
	if y != x {
		t.Fatal("it is not used again")
	}
	for _, c := range y.room.credentials {
		if c != (credential{}) {
			t.Error("the token of the stream before is still there")
		}
	}
	if want := (stream{gate: g, s: s, room: y.room}); !reflect.DeepEqual(*y, want) {
		t.Errorf("it begins as %+v", *y)
	}
}

// One that waits for its record stays in a list until the next tick.
func TestAStreamThatWaitsIsNotUsedAgain(t *testing.T) {
	g := New(&filtertest.Host{}).(*Gate)
	x := g.NewStream(filtertest.NewStream()).(*stream)
	x.wait()
	x.Done()
	if y := g.NewStream(filtertest.NewStream()).(*stream); y == x {
		t.Error("the list has a stream that is another one now")
	}
	g.stored(0, 1<<60)
	if x.settled == admitted {
		t.Error("a stream that is done goes on")
	}
}

// sent are the IDs of the decisions in a batch, in order.
func sent(host *filtertest.LiveHost) (ids []string) {
	for _, call := range host.Calls {
		for _, part := range strings.Split(string(call.Body), `"decision_id":"`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			ids = append(ids, id)
		}
	}
	return ids
}

func TestARecordIsWrittenAfterItsAnswer(t *testing.T) {
	host := &filtertest.LiveHost{Store: &filtertest.Store{}}
	begin := func() *Gate {
		g := New(host).(*Gate)
		g.accounts.outbox = record.NewOutbox(host, g.stored)
		g.accounts.outbox.SendTo(record.Destination{Instance: "i"})
		host.Calls = nil
		return g
	}
	end := func(g *Gate, id string) *stream {
		x := g.NewStream(filtertest.NewStream()).(*stream)
		x.settle(policies.Decision{ID: id}, 403)
		x.Done()
		return x
	}
	later := host.Now() + int64(time.Hour)

	t.Run("on the next tick", func(t *testing.T) {
		g := begin()
		end(g, "D1")
		if g.accounts.outbox.Flush(later); len(host.Calls) > 0 {
			t.Error("the record is there as the stream ends")
		}
		if g.account(later); !reflect.DeepEqual(sent(host), []string{"D1"}) {
			t.Errorf("sent: %v", sent(host))
		}
	})
	t.Run("in order, though one is noted ahead of its end", func(t *testing.T) {
		g := begin()
		end(g, "D1")
		x := g.NewStream(filtertest.NewStream()).(*stream)
		x.settle(policies.Decision{ID: "D2"}, 0)
		x.note()
		end(g, "D3")
		if g.account(later); !reflect.DeepEqual(sent(host), []string{"D1", "D2", "D3"}) {
			t.Errorf("sent: %v", sent(host))
		}
	})
	t.Run("at once when many wait", func(t *testing.T) {
		g := begin()
		var want []string
		for i := range maxEnded + 3 {
			want = append(want, "D"+strconv.Itoa(i))
			end(g, want[i])
		}
		if len(g.accounts.ended) != 3 {
			t.Errorf("%d streams wait", len(g.accounts.ended))
		}
		if g.account(later); !reflect.DeepEqual(sent(host), want) {
			t.Errorf("sent: %v", sent(host))
		}
	})
	t.Run("also when another one can't be written", func(t *testing.T) {
		g := begin()
		end(g, "D1")
		end(g, "D2").target = &snapshot.Target{}
		g.accounts.ended[0].msg.Arguments = engine.String("x")
		g.accounts.ended[0].target = &snapshot.Target{Audit: &snapshot.Audit{Arguments: true}} // without a policy to mask it by
		end(g, "D3")
		if g.account(later); !reflect.DeepEqual(sent(host), []string{"D2", "D3"}) {
			t.Errorf("sent: %v", sent(host))
		}
	})
	t.Run("before the plugin ends", func(t *testing.T) {
		g := begin()
		g.source = &live.Source{}
		end(g, "D1")
		if g.Release(); !reflect.DeepEqual(sent(host), []string{"D1"}) {
			t.Errorf("sent: %v", sent(host))
		}
	})
}
