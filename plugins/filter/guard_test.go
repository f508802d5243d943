package filter_test

import (
	"testing"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
)

// A bomb panics where it is told to, and counts what it is told.
type bomb struct {
	in   string
	done *int
}

func (b bomb) at(name string) filter.Action {
	if b.in == name {
		panic(name)
	}
	return filter.Continue
}

func (b bomb) RequestHeaders(bool) filter.Action    { return b.at("request headers") }
func (b bomb) RequestBody(int, bool) filter.Action  { return b.at("request body") }
func (b bomb) RequestTrailers() filter.Action       { return b.at("request trailers") }
func (b bomb) ResponseHeaders(bool) filter.Action   { return b.at("response headers") }
func (b bomb) ResponseBody(int, bool) filter.Action { return b.at("response body") }
func (b bomb) ResponseTrailers() filter.Action      { return b.at("response trailers") }
func (b bomb) Done()                                { *b.done++; b.at("done") }

type bombs struct {
	next string
	done int
}

func (*bombs) Configure([]byte) error                   { return nil }
func (p *bombs) NewStream(filter.Stream) filter.Handler { return bomb{p.next, &p.done} }

// A stream's guard serves later streams: none may inherit another one's denial, or
// escape its own.
func TestAPanicDeniesItsStreamAlone(t *testing.T) {
	p := &bombs{}
	g := filter.Guard(p, func() filter.Reply { return filter.Reply{Status: 500} })
	calls := []struct {
		name string
		call func(filter.Handler) filter.Action
	}{
		{"request headers", func(h filter.Handler) filter.Action { return h.RequestHeaders(false) }},
		{"request body", func(h filter.Handler) filter.Action { return h.RequestBody(1, false) }},
		{"request trailers", func(h filter.Handler) filter.Action { return h.RequestTrailers() }},
		{"response headers", func(h filter.Handler) filter.Action { return h.ResponseHeaders(false) }},
		{"response body", func(h filter.Handler) filter.Action { return h.ResponseBody(1, false) }},
		{"response trailers", func(h filter.Handler) filter.Action { return h.ResponseTrailers() }},
		{"done", func(h filter.Handler) filter.Action { h.Done(); return filter.Continue }},
	}
	streams := 0
	for range 3 {
		for _, in := range append(calls, calls[0]) {
			for _, p.next = range []string{in.name, ""} {
				s := filtertest.NewStream()
				h := g.NewStream(s)
				streams++
				for _, c := range calls {
					want := filter.Continue
					if c.name == p.next && c.name != "done" {
						want = filter.Hold
					}
					if got := c.call(h); got != want {
						t.Fatalf("panic in %q: %s gives %v, want %v", p.next, c.name, got, want)
					}
					if want == filter.Hold {
						h.Done()
						break
					}
				}
				if replied := len(s.Replies) == 1; replied != (p.next != "" && p.next != "done") {
					t.Errorf("panic in %q: replies %v", p.next, s.Replies)
				}
			}
		}
	}
	if p.done != streams {
		t.Errorf("%d of %d streams were done", p.done, streams)
	}
}

func TestPoolGivesNothingTwice(t *testing.T) {
	var p filter.Pool[int]
	var all []*int
	for range 100 {
		all = append(all, p.Take())
	}
	for _, one := range all {
		p.Put(one)
	}
	given := map[*int]bool{}
	for range 200 {
		one := p.Take()
		if given[one] {
			t.Fatal("one is given twice")
		}
		given[one] = true
	}
}
