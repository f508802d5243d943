package live

import (
	"strings"
	"testing"
	"time"

	"keyward/plugins/changes"
	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/live/livetest"
	"keyward/plugins/snapshot"
)

func newManager(t *testing.T) (*livetest.Manager, *Config) {
	t.Helper()
	m := livetest.New(t)
	return m, &Config{Cluster: "manager", Authority: "manager.internal", Key: m.Public, MaxStale: DefaultMaxStale}
}

// A process is the pollers of some VMs.
type process struct {
	*filtertest.Store
	manager *livetest.Manager
	hosts   []*filtertest.LiveHost
	pollers []*Poller
	now     int64
}

func newProcess(t *testing.T, vms int) *process {
	t.Helper()
	m, config := newManager(t)
	p := &process{Store: &filtertest.Store{}, manager: m, now: start}
	for range vms {
		h := &filtertest.LiveHost{Host: filtertest.Host{Time: start}, Store: p.Store}
		p.hosts = append(p.hosts, h)
		p.pollers = append(p.pollers, NewPoller(h, config, testToken, snapshot.Everyone))
	}
	return p
}

// pass lets time go by, with a tick of all VMs every 50 ms.
func (p *process) pass(d time.Duration) {
	for end := p.now + int64(d); p.now < end; {
		p.now += int64(50 * time.Millisecond)
		for i, h := range p.hosts {
			h.Time = p.now
			p.pollers[i].Tick()
		}
	}
}

// open counts the polls without an answer.
func (p *process) open() (n int) {
	for _, h := range p.hosts {
		n += len(h.Calls)
	}
	return n
}

// asked is the one question that is open, and who asks it.
func (p *process) asked(t *testing.T) (*filtertest.LiveHost, changes.Request) {
	t.Helper()
	var from *filtertest.LiveHost
	for _, h := range p.hosts {
		if len(h.Calls) > 1 || len(h.Calls) == 1 && from != nil {
			t.Fatal("more than one poll is open")
		}
		if len(h.Calls) == 1 {
			from = h
		}
	}
	if from == nil {
		t.Fatal("no poll is open")
	}
	return from, livetest.Request(t, from.Calls[0])
}

// reply answers the one question that is open.
func (p *process) reply(t *testing.T, a changes.Answer) changes.Request {
	t.Helper()
	h, r := p.asked(t)
	h.Answer(p.manager.Answer(r, a))
	return r
}

func (p *process) view(t *testing.T) *View {
	t.Helper()
	return mustView(t, newReader(t, p.Store), p.now)
}

func TestOnePollerOfManyFollowsTheManager(t *testing.T) {
	p := newProcess(t, 5)
	p.pass(time.Second)
	if r := p.reply(t, livetest.Page(whole(1, 3), "", true)); r.Epoch != "" {
		t.Errorf("the first poll has %q", r.Epoch)
	}
	if v := p.view(t); v.Generation() != 1 || stateOf(v, 1) != "active" {
		t.Errorf("generation %d, consumer %s", v.Generation(), stateOf(v, 1))
	}
	if r := p.reply(t, livetest.Page(suspend(1, 2, 1), "", true)); r.Epoch != "e1" || r.Since != 1 || r.Wait == 0 {
		t.Errorf("the second poll is %+v", r)
	}
	if v := p.view(t); v.Generation() != 2 || stateOf(v, 1) != "suspended" {
		t.Errorf("generation %d, consumer %s", v.Generation(), stateOf(v, 1))
	}
	for range 40 { // nothing changes for longer than max_stale
		p.pass(25 * time.Second)
		p.reply(t, changes.Answer{Status: 204})
	}
	if v := p.view(t); v.Generation() != 2 {
		t.Errorf("generation %d", v.Generation())
	}
}

func TestPagesShowOnlyOnceTheyAreConsistent(t *testing.T) {
	p := newProcess(t, 1)
	p.pass(time.Second)
	first := whole(3, 2)
	second := &snapshot.Snapshot{Format: snapshot.Format, Epoch: "e1", Generation: 3, Consumers: []snapshot.Consumer{consumer(7, snapshot.Active)}}
	p.reply(t, livetest.Page(first, "c2", false))
	if r := p.reply(t, livetest.Page(second, "", false)); r.Cursor != "c2" || r.Epoch != "" {
		t.Errorf("the second page was asked for with %+v", r)
	}
	if v, _, _ := newReader(t, p.Store).View(p.now); v != nil {
		t.Error("pages that are not consistent show")
	}
	if r := p.reply(t, livetest.Page(suspend(3, 5, 1), "", true)); r.Epoch != "e1" || r.Since != 3 || r.Wait != 0 {
		t.Errorf("what changed meanwhile was asked for with %+v", r)
	}
	v := p.view(t)
	if v.Generation() != 5 || stateOf(v, 0) != "active" || stateOf(v, 1) != "suspended" || stateOf(v, 7) != "active" {
		t.Errorf("generation %d: %s, %s, %s", v.Generation(), stateOf(v, 0), stateOf(v, 1), stateOf(v, 7))
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	other, _ := newManager(t)
	tests := []struct {
		name string
		make func(m *livetest.Manager, r changes.Request, before filter.Answer) filter.Answer
	}{
		{"replayed", func(_ *livetest.Manager, _ changes.Request, before filter.Answer) filter.Answer { return before }},
		{"of another Manager", func(_ *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			return other.Answer(r, livetest.Page(whole(9, 2), "", true))
		}},
		{"to another gateway", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			r.Nonce = nonce()
			return m.Answer(r, livetest.Page(suspend(2, 3, 1), "", true))
		}},
		{"altered", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			a := m.Answer(r, livetest.Page(suspend(2, 3, 1), "", true))
			a.Body = []byte(strings.Replace(string(a.Body), "suspended", "active", 1))
			return a
		}},
		{"truncated", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			a := m.Answer(r, livetest.Page(suspend(2, 3, 1), "", true))
			a.Body = a.Body[:len(a.Body)-10]
			return a
		}},
		{"unsigned", func(_ *livetest.Manager, _ changes.Request, _ filter.Answer) filter.Answer {
			return filter.Answer{Status: 204}
		}},
		{"without the cursor it was signed with", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			a := m.Answer(r, livetest.Page(suspend(2, 3, 1), "more", true))
			a.Headers = a.Headers[:1]
			return a
		}},
		{"a delta from another generation", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			return m.Answer(r, livetest.Page(suspend(1, 3, 1), "", true))
		}},
		{"a lower generation of the same epoch", func(m *livetest.Manager, r changes.Request, _ filter.Answer) filter.Answer {
			return m.Answer(r, livetest.Page(whole(1, 2), "", true))
		}},
		{"a failure", func(_ *livetest.Manager, _ changes.Request, _ filter.Answer) filter.Answer {
			return filter.Answer{Status: 503}
		}},
		{"too large to be read", func(_ *livetest.Manager, _ changes.Request, _ filter.Answer) filter.Answer {
			return filter.Answer{Status: 200, Body: make([]byte, maxPageSize+1)}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, 2)
			p.pass(time.Second)
			p.reply(t, livetest.Page(whole(1, 2), "", true))
			h, r := p.asked(t)
			before := p.manager.Answer(r, livetest.Page(suspend(1, 2, 0), "", true))
			h.Answer(before)
			h, r = p.asked(t)
			h.Answer(tt.make(p.manager, r, before))
			if len(h.Calls) != 0 {
				t.Error("the next poll does not wait for a tick")
			}
			if v := p.view(t); v.Generation() != 2 || stateOf(v, 0) != "suspended" || stateOf(v, 1) != "active" {
				t.Errorf("generation %d: %s, %s", v.Generation(), stateOf(v, 0), stateOf(v, 1))
			}
			p.pass(2 * time.Second)
			p.reply(t, livetest.Page(whole(3, 1), "", true))
			if v := p.view(t); v.Generation() != 3 || stateOf(v, 0) != "active" || stateOf(v, 1) != "unknown" {
				t.Errorf("after recovery: generation %d: %s, %s", v.Generation(), stateOf(v, 0), stateOf(v, 1))
			}
			if strings.Contains(h.Logged(), testToken) {
				t.Error("the log holds the gateway token")
			}
		})
	}
}

func TestARestoredManagerIsNoticed(t *testing.T) {
	p := newProcess(t, 1)
	p.pass(time.Second)
	p.reply(t, livetest.Page(whole(200, 3), "", true))
	s := whole(4, 1)
	s.Epoch = "e2"
	p.reply(t, livetest.Page(s, "", true))
	if v := p.view(t); v.Epoch() != "e2" || v.Generation() != 4 || stateOf(v, 2) != "unknown" {
		t.Errorf("epoch %s, generation %d, consumer %s", v.Epoch(), v.Generation(), stateOf(v, 2))
	}
	if _, r := p.asked(t); r.Epoch != "e2" || r.Since != 4 {
		t.Errorf("the next poll is %+v", r)
	}
}

func TestPollsOfAManagerThatIsDownBackOff(t *testing.T) {
	p := newProcess(t, 3)
	polls := 0
	for _, h := range p.hosts {
		h.Refuse = func(filter.Call) error { polls++; return filter.ErrNotFound }
	}
	p.pass(10 * time.Minute)
	if polls < 20 || polls > 60 {
		t.Errorf("%d polls in ten minutes", polls)
	}
	for _, h := range p.hosts {
		h.Refuse = nil
	}
	for p.open() == 0 {
		p.pass(50 * time.Millisecond)
	}
	p.reply(t, livetest.Page(whole(1, 1), "", true))
	p.view(t)
}

func TestAnotherVMTakesOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(p *Poller)
		within time.Duration
	}{
		{"when the poller's dies", func(*Poller) {}, leaseTime + time.Second},
		{"at once when it is released", (*Poller).Release, leaseLook + 100*time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, 3)
			p.pass(time.Second)
			p.reply(t, livetest.Page(whole(1, 2), "", true))
			h, _ := p.asked(t)
			for i := range p.hosts {
				if p.hosts[i] == h {
					tt.end(p.pollers[i])
					p.hosts = append(p.hosts[:i:i], p.hosts[i+1:]...)
					p.pollers = append(p.pollers[:i:i], p.pollers[i+1:]...)
					break
				}
			}
			p.pass(tt.within)
			p.reply(t, livetest.Page(suspend(1, 2, 1), "", true))
			if v := p.view(t); stateOf(v, 1) != "suspended" {
				t.Errorf("consumer is %s", stateOf(v, 1))
			}
		})
	}
}

func TestAPollerThatDiedWhileItWroteIsFollowedByAWholeSync(t *testing.T) {
	p := newProcess(t, 1)
	p.pass(time.Second)
	p.reply(t, livetest.Page(whole(1, 2), "", true))
	p.reply(t, livetest.Page(suspend(1, 2, 1), "next", false)) // and dies before the next page
	h := &filtertest.LiveHost{Host: filtertest.Host{Time: p.now}, Store: p.Store}
	p.hosts, p.pollers = []*filtertest.LiveHost{h}, []*Poller{NewPoller(h, p.pollers[0].config, testToken, snapshot.Everyone)}
	p.pass(leaseTime + time.Second)
	if v := p.view(t); v.Generation() != 1 || stateOf(v, 1) != "active" {
		t.Errorf("half a delta shows: generation %d, consumer %s", v.Generation(), stateOf(v, 1))
	}
	if _, r := p.asked(t); r.Epoch != "" {
		t.Errorf("the new poller asks since %s.%d", r.Epoch, r.Since)
	}
}

func TestAnAnswerThatNeverComesIsNotWaitedForForEver(t *testing.T) {
	p := newProcess(t, 1)
	p.pass(time.Second)
	h, _ := p.asked(t)
	h.Calls = nil // the context that made the call is gone
	for p.open() == 0 {
		p.pass(50 * time.Millisecond)
	}
	p.reply(t, livetest.Page(whole(1, 1), "", true))
	p.view(t)
}
