package live

import (
	"errors"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/record"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// Entries are what a request needs, at one generation: a [View] of the shared
// data, or a [snapshot.View]. Entries that they return are never changed.
type Entries interface {
	Epoch() string
	Generation() uint64
	Policy() *snapshot.Policy
	SessionKey() []byte
	Target(route, host, path string) (*snapshot.Target, bool)
	ByRoute() bool
	TargetByID(id string) (*snapshot.Target, bool)
	Consumer(digest [32]byte) (*snapshot.Consumer, *snapshot.Token, bool)
	ConsumerByID(id string) (*snapshot.Consumer, bool)
	Credential(id string) (*snapshot.Credential, bool)
}

var (
	_ Entries = (*View)(nil)
	_ Entries = (*snapshot.View)(nil)
)

// A Source is where a plugin has its entries from, as its configuration says: a
// snapshot in it, the Manager, or the snapshot until the Manager was first
// reached. It is not safe for concurrent use.
type Source struct {
	fixed  *snapshot.View // nil: none
	until  int64          // that fixed may be used, Unix nanoseconds; 0: ever
	reader *Reader        // nil: no Manager
	poller *Poller
	to     record.Destination
}

var errHost = errors.New(`"manager" is set, but this host has no shared data, calls or ticks`)

// NewSource reads a plugin's configuration; see [ReadConfig]. The plugin passes
// its own [filter.Background] on to the source, and says which audience it is; tick is how often it wants to be
// called itself, 0 for as often as polling needs.
func NewSource(host filter.Host, config []byte, audience snapshot.Audience, tick time.Duration) (*Source, error) {
	snap, manager, err := ReadConfig(config)
	if err != nil {
		return nil, err
	}
	s := &Source{}
	if snap != nil {
		if s.fixed, err = snapshot.NewView(snap); err != nil {
			return nil, err
		}
	}
	if manager == nil {
		return s, nil
	}
	token := host.Getenv(EnvToken)
	if token == "" {
		return nil, errors.New(`"manager" is set, but ` + EnvToken + " is not")
	}
	poll, ok := host.(PollHost)
	ticker, ticks := host.(filter.Ticker)
	if !ok || !ticks {
		return nil, errHost
	}
	s.to = record.Destination{Cluster: manager.Cluster, Authority: manager.Authority, Token: token}
	s.until = host.Now() + int64(manager.MaxStale)
	s.reader = NewReader(poll, token, audience, manager.MaxStale, func(line string) { host.Log(filter.Warn, line) })
	s.poller = NewPoller(poll, manager, token, audience)
	s.to.Instance = s.poller.space.instance()
	if tick == 0 {
		tick = pollTick
	}
	return s, ticker.SetTick(tick)
}

// Entries are what is in force now, Unix nanoseconds; nil for the reason beside
// them. They stay the same value as long as nothing changes.
func (s *Source) Entries(now int64) (Entries, policies.Reason) {
	if s.reader == nil {
		return s.fixed, policies.ReasonNone
	}
	v, reason, begun := s.reader.View(now)
	switch {
	case v != nil:
		return v, policies.ReasonNone
	case begun || s.fixed == nil:
		return nil, reason
	case now >= s.until:
		return nil, policies.SnapshotStale
	}
	return s.fixed, policies.ReasonNone
}

// Manager is where records go; false: there is no Manager.
func (s *Source) Manager() (record.Destination, bool) { return s.to, s.poller != nil }

// Tick polls the Manager if it is time to.
func (s *Source) Tick() {
	if s.poller != nil {
		s.poller.Tick()
	}
}

// Release ends polling here, so that another VM can.
func (s *Source) Release() {
	if s.poller != nil {
		s.poller.Release()
	}
}
