package admission

import (
	"reflect"
	"testing"

	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
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
