package matrix

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"keyward/manager"
	"keyward/manager/matrix/message"
	"keyward/manager/store"
	"keyward/policies"
)

// maxRead is how many entries of the log are read at once.
const maxRead = 500

// post fills the outbox from the log until ctx is done.
func (s *Service) post(ctx context.Context) error {
	rooms := &directory{rooms: map[string]manager.Room{}}
	stale := true
	for ctx.Err() == nil {
		logged, changed := s.store.Logged(), s.store.Changed()
		if stale {
			if err := rooms.refresh(ctx, s); err != nil {
				return err
			}
			stale = false
		}
		from, err := s.store.Posted(ctx)
		if err != nil {
			return err
		}
		entries, err := s.store.Log(ctx, from, maxRead)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			select {
			case <-ctx.Done():
			case <-logged:
			case <-changed:
				stale = true
			}
			continue
		}
		postings, err := s.route(ctx, rooms, entries)
		if err != nil {
			return err
		}
		err = s.store.Post(ctx, from, from+uint64(len(entries)), postings)
		if err != nil && !errors.Is(err, store.ErrPosted) {
			return err
		}
		s.wake.give()
		select {
		case <-changed:
			stale = true
		default:
		}
	}
	return ctx.Err()
}

// A directory says which rooms show what.
type directory struct {
	generation uint64 // up to which it is read
	rooms      map[string]manager.Room
	shared     map[string][]string // rooms that show a consumer's requests too
	others     map[string]bool     // consumers that have no room
}

// refresh reads what changed since it was last read.
func (d *directory) refresh(ctx context.Context, s *Service) error {
	st, err := s.store.Generation(ctx)
	if err != nil {
		return err
	}
	for r, err := range pages(func(p manager.Page) (manager.List[manager.Room], error) {
		return s.store.ChangedRooms(ctx, d.generation, p)
	}) {
		if err != nil {
			return err
		}
		d.rooms[r.ID] = r
	}
	d.shared = map[string][]string{} // anew, since they can go
	for r, err := range pages(s.shared(ctx)) {
		if err != nil {
			return err
		}
		if r.Calls {
			for _, m := range r.Members {
				d.shared[m] = append(d.shared[m], r.ID)
			}
		}
	}
	d.generation, d.others = st.Generation, map[string]bool{}
	return nil
}

// route returns what rooms show of entries. A Worker's room is made known with
// the first entry that belongs into it.
func (s *Service) route(ctx context.Context, d *directory, entries []manager.LogEntry) ([]manager.Posting, error) {
	var list []manager.Posting
	for _, le := range entries {
		e, ok := s.shown(le)
		if !ok {
			continue
		}
		if err := s.known(ctx, d, e.Consumer); err != nil {
			return nil, err
		}
		for _, room := range d.roomsOf(e) {
			list = append(list, d.posting(room, e))
		}
	}
	return list, nil
}

// known makes a Worker's room known that the directory lacks.
func (s *Service) known(ctx context.Context, d *directory, consumer string) error {
	if consumer == "" || d.has(consumer) || d.others[consumer] {
		return nil
	}
	r, err := s.ensure(ctx, consumer)
	if errors.Is(err, manager.ErrInvalid) || errors.Is(err, manager.ErrNotFound) {
		d.others[consumer] = true // no Worker, or no more: its requests show in the Manager's room
		return nil
	}
	d.rooms[r.ID] = r
	return err
}

func (d *directory) has(consumer string) bool {
	_, ok := d.rooms[manager.RoomID(manager.RoomWorker, consumer)]
	return ok
}

// roomsOf returns the rooms that show e.
func (d *directory) roomsOf(e message.Entry) []string {
	if e.Kind == message.Action {
		if d.has(e.Consumer) {
			return []string{manager.ManagerRoom, manager.RoomID(manager.RoomWorker, e.Consumer)}
		}
		return []string{manager.ManagerRoom}
	}
	if e.Kind == message.Gap || !d.has(e.Consumer) {
		return append([]string{manager.ManagerRoom}, d.shared[e.Consumer]...)
	}
	return append([]string{manager.RoomID(manager.RoomWorker, e.Consumer)}, d.shared[e.Consumer]...)
}

func (d *directory) posting(room string, e message.Entry) manager.Posting {
	r := d.rooms[room]
	p := manager.Posting{Room: room, Lane: manager.LaneEach, Position: e.Index}
	if (message.Options{EachLLM: r.EachLLM, EachAuth: r.EachAuth}).Digests(e.Kind) {
		p.Lane, p.Due = manager.LaneDigest, e.Time.Add(r.Digest())
	}
	return p
}

// options are how the messages of a lane are made: what is counted was decided
// when the entry came into the outbox.
func options(lane manager.Lane, log string) message.Options {
	each := lane == manager.LaneEach
	return message.Options{Log: log, EachLLM: each, EachAuth: each}
}

// kinds maps what a gateway decides about.
var kinds = map[policies.Kind]message.Kind{policies.KindMCP: message.MCP, policies.KindLLM: message.LLM, policies.KindHTTP: message.HTTP}

// slow is from when on the end of a request, whose decision was shown, is worth a
// line of its own.
const slow = time.Second

// telling reports whether the end of a request tells what its decision did not: an
// answer that was long in coming, failed, or never came.
func telling(r *policies.Record) bool {
	if r.Kind == policies.KindLLM {
		return r.Consumer != "" && r.Tokens != nil
	}
	return r.Consumer != "" && (r.Duration >= slow || r.Status >= 400 || r.Status == 0)
}

// tokens are those that a model took for a request; 0: none, or not known.
func tokens(r *policies.Record) uint64 {
	if r.Tokens == nil {
		return 0
	}
	return r.Tokens.Input + r.Tokens.Output
}

// shown returns what rooms show of an entry of the log; false: nothing. Most ends
// of requests whose decision was shown are noise, and what is damaged or was taken
// by retention has nothing to show.
func (s *Service) shown(le manager.LogEntry) (message.Entry, bool) {
	e := message.Entry{Index: le.Position, Time: le.Time}
	switch {
	case le.Kind == manager.EntryAction && le.Event != nil:
		e.Kind, e.ID, e.Time = message.Action, le.Event.Request, le.Event.Time
		e.Actor, e.Did, e.Object = actor(le.Event.Actor), strings.ReplaceAll(le.Event.Action, ".", " "), le.Event.Object
		e.Consumer = ownEvent(le.Event)
		if le.Event.Note != "" {
			e.Details = []string{le.Event.Note}
		}
	case le.Kind == manager.EntryGap && le.Gap != nil:
		e.Kind, e.Object = message.Gap, le.Gateway
		if !le.Gap.Open {
			e.Lost = le.Gap.Last - le.Gap.First + 1
		}
	case (le.Kind == manager.EntryDecision || le.Kind == manager.EntryCut) && le.Record != nil:
		r := le.Record
		e.ID, e.Time, e.Kind = r.ID, r.Time, kinds[r.Kind]
		e.Consumer, e.Target, e.Method, e.Name = r.Consumer, r.Target, r.Method, r.Name
		e.Arguments, e.Verdict, e.Reason = string(r.Arguments), r.Verdict, r.Reason
		e.Details, e.Rules, e.Status, e.Duration, e.Tokens = slices.Clone(r.Details), r.Rules, r.Status, r.Duration, tokens(r)
		switch {
		case le.Kind == manager.EntryCut:
			e.Kind = message.Cut
		case r.Consumer == "":
			e.Kind = message.Auth
		case r.Kind == policies.KindHTTP && r.Target == s.opt.Target && r.Verdict == policies.Allow:
			e.Kind = message.Matrix
		case e.Kind == "":
			e.Kind = message.HTTP
		}
	case le.Kind == manager.EntryOutcome && le.Record != nil && telling(le.Record):
		r := le.Record
		e.Kind, e.ID, e.Time, e.Consumer, e.Target, e.Name = message.Outcome, r.ID, r.Time, r.Consumer, r.Target, r.Name
		e.Status, e.Duration, e.Bytes, e.Tokens = r.Status, r.Duration, r.ResponseBytes, tokens(r)
		if r.Kind == policies.KindLLM {
			e.Kind = message.Answer
		}
	default:
		return e, false
	}
	return e, true
}

// ownEvent is the consumer of the Worker whose own room shows an event too: how
// it is, and whether it may go on; empty: none.
func ownEvent(e *manager.Event) string {
	verb, ok := strings.CutPrefix(e.Action, string(manager.KindWorker)+".")
	if !ok {
		return ""
	}
	switch verb {
	case "suspend", "resume", "revoke", "sleep", "wake", "restart", "reset":
	default:
		if !strings.HasPrefix(verb, manager.HealthVerb) {
			return ""
		}
	}
	return manager.ConsumerPrefix + e.Object
}

// actor names who did something: a person by the name of their token.
func actor(a manager.Actor) string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}
