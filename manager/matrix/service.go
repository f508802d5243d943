package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"keyward/manager/matrix/message"
	"keyward/manager/store"
	"keyward/plugins/seal"
)

const (
	keepEvery = 10 * time.Minute // all rooms, whether anything is known to have changed or not
	maxAdmins = 100
)

// Options of a service.
type Options struct {
	Homeserver   string // URL
	User         string // the Manager's account, @keyward:example.org
	Admins       []string
	Registration Registration
	Session      string // file, mode 0600, that is made where it is missing
	Prefix       string // begins aliases and Workers' accounts; empty: keyward
	Target       string // ID of the target that is the homeserver; empty: Workers' tokens are not sealed
	// Checkpoint returns the newest checkpoint of the log and when it was made, or
	// [manager.ErrNotFound]; nil: rooms show none.
	Checkpoint func(context.Context) (message.Checkpoint, time.Time, error)
	// CheckpointEvery is the time between two in the Manager's room; 0: a minute.
	CheckpointEvery time.Duration
	Log             *slog.Logger
	Metrics         prometheus.Registerer // nil: a registry of its own
}

// A Service keeps rooms and what is in them. One Manager of a store runs one.
type Service struct {
	store   *store.Store
	opt     settings
	session *session
	client  atomic.Pointer[mautrix.Client] // replaced when the Manager signs in
	log     *slog.Logger
	metrics *metrics

	// What follows is the keeper's alone.
	marked map[string]id.RoomID // rooms by their markers; nil: not looked for yet
	keys   []*seal.PublicKey    // of all gateways
	target uint64               // generation of the target that is the homeserver

	wake  nudge // there may be something to send
	tidy  nudge // there may be something to keep
	mu    sync.Mutex
	moved map[string]bool           // rooms that are not where they were thought to be
	asked map[string][]chan<- error // who waits for a room to be kept
	state Health
}

// settings are Options with everything in its place.
type settings struct {
	Options
	Admins []id.UserID
}

// Health is how a service is doing.
type Health struct {
	SignedIn bool      // since it was started
	Down     bool      // the homeserver did not answer last time
	Rooms    int       // that could not be kept as they should be
	Waiting  int64     // entries that wait for rooms
	Since    time.Time // when the oldest of them came; zero: none waits
}

// String says it in a line.
func (h Health) String() string {
	switch {
	case !h.SignedIn:
		return "not signed in"
	case h.Down:
		return fmt.Sprintf("homeserver does not answer, %d entries wait since %s", h.Waiting, h.Since.UTC().Format(time.RFC3339))
	case h.Rooms > 0:
		return fmt.Sprintf("%d rooms are not as they should be, %d entries wait", h.Rooms, h.Waiting)
	default:
		return fmt.Sprintf("ok, %d entries wait", h.Waiting)
	}
}

// New returns a service on a store. It calls nobody before [Service.Run].
func New(st *store.Store, opt Options) (*Service, error) {
	opt.Prefix = cmp.Or(opt.Prefix, "keyward")
	opt.Log = cmp.Or(opt.Log, slog.Default())
	opt.CheckpointEvery = cmp.Or(opt.CheckpointEvery, checkpointEvery)
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	s := &Service{
		store: st, opt: settings{Options: opt}, log: opt.Log,
		wake: newNudge(), tidy: newNudge(), moved: map[string]bool{}, asked: map[string][]chan<- error{},
	}
	if err := s.opt.check(); err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	var err error
	if s.session, err = openSession(opt.Session, id.UserID(opt.User)); err != nil {
		return nil, fmt.Errorf("matrix: session: %w", err)
	}
	c, err := newClient(opt.Homeserver, s.session.User, s.session.Token)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	s.client.Store(c)
	if s.metrics, err = newMetrics(opt.Metrics, s); err != nil {
		return nil, err
	}
	return s, nil
}

// api is the client of the Manager's account.
func (s *Service) api() *mautrix.Client { return s.client.Load() }

// Check checks what can be checked without a homeserver.
func (o Options) Check() error {
	return (&settings{Options: o}).check()
}

func (o *settings) check() error {
	user := id.UserID(o.User)
	if _, _, err := user.ParseAndValidateStrict(); err != nil {
		return fmt.Errorf("user %q: is no Matrix ID such as @keyward:example.org", o.User)
	}
	if (o.Registration.Secret == "") == (o.Registration.Token == "") {
		return errors.New("set one of the registration secret and the registration token")
	}
	if len(o.Options.Admins) == 0 || len(o.Options.Admins) > maxAdmins {
		return fmt.Errorf("name 1 to %d admins", maxAdmins)
	}
	for _, a := range o.Options.Admins {
		u := id.UserID(a)
		if _, _, err := u.ParseAndValidateRelaxed(); err != nil || u == user {
			return fmt.Errorf("admin %q: is no Matrix ID of a person", a)
		}
		// A Worker's account in the list would make a Worker an admin.
		if o.Prefix != "" && u.Homeserver() == user.Homeserver() && hasPrefix(u.Localpart(), o.Prefix+"-") {
			return fmt.Errorf("admin %q: names that begin with %q are Workers'", a, o.Prefix+"-")
		}
		o.Admins = append(o.Admins, u)
	}
	return nil
}

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

// Run keeps rooms, fills them and takes commands until ctx is done.
func (s *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.insist(ctx, "read the log", s.post) })
	s.insist(ctx, "sign in", func(ctx context.Context) error {
		if s.session.Token == "" {
			return s.signIn(ctx)
		}
		return nil
	})
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	s.state.SignedIn = true
	s.mu.Unlock()
	wg.Go(func() { s.insist(ctx, "keep rooms", s.keepAll) })
	wg.Go(func() { s.insist(ctx, "send messages", s.sendAll) })
	wg.Go(func() { s.insist(ctx, "hear commands", s.listen) })
	if s.opt.Checkpoint != nil {
		wg.Go(func() { s.insist(ctx, "show checkpoints", s.checkpoints) })
	}
}

// insist runs do until it succeeds or ctx is done.
func (s *Service) insist(ctx context.Context, what string, do func(context.Context) error) {
	var p pause
	for ctx.Err() == nil {
		began := time.Now()
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.failed(err)
		if time.Since(began) > maxPause {
			p = pause{}
		}
		p.more(time.Now(), asked(err))
		s.log.Warn("could not "+what, slog.Any("error", brief(err)), slog.Duration("again_in", time.Until(p.until)))
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(p.until)):
		}
	}
}

func (s *Service) sendAll(ctx context.Context) error {
	st, err := s.store.Generation(ctx)
	if err != nil {
		return err
	}
	return newPostman(s, st.Epoch).run(ctx)
}

// failed draws the conclusions of an error that hold for the whole service.
func (s *Service) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Down = down(err)
	if errors.Is(err, mautrix.MUnknownToken) && s.moved != nil {
		s.moved[""] = true // the keeper signs in again
		s.tidy.give()
	}
}

// answered notes that the homeserver is there.
func (s *Service) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Down = false
}

// Health returns how the service is doing.
func (s *Service) Health(ctx context.Context) Health {
	s.mu.Lock()
	h := s.state
	s.mu.Unlock()
	n, since, err := s.store.Waiting(ctx)
	if err == nil {
		h.Waiting, h.Since = n, since
	}
	return h
}

// keepAll keeps rooms until ctx is done: all of them now and then, and each when
// something about it changed.
func (s *Service) keepAll(ctx context.Context) error {
	var (
		after uint64
		again = map[string]bool{} // failed the last time
		retry pause
		all   = time.Now().Add(keepEvery)
	)
	for ctx.Err() == nil {
		changed, nudged := s.store.Changed(), s.tidy.next()
		st, err := s.store.Generation(ctx)
		if err != nil {
			return err
		}
		rekey, err := s.readKeys(ctx)
		if err != nil {
			return err
		}
		if rekey || time.Now().After(all) {
			after, all = 0, time.Now().Add(keepEvery)
		}
		moved := s.takeMoved()
		if moved[""] {
			if err := s.signIn(ctx); err != nil {
				return err
			}
		}
		maps.Copy(again, moved)
		list, err := s.rooms(ctx, after, again)
		if err != nil {
			return err
		}
		var held time.Duration
		again, held, err = s.keepEach(ctx, list)
		if err != nil {
			return err
		}
		for id := range moved {
			if _, ok := list[id]; !ok { // there is no such room, and shall be none
				s.answer(s.takeAsked(id), nil)
			}
		}
		after = st.Generation
		wait := time.Until(all)
		if len(again) == 0 {
			retry = pause{}
		} else {
			retry.more(time.Now(), held)
			wait = min(wait, time.Until(retry.until))
		}
		if held > 0 {
			changed, nudged = nil, nil // no faster
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-nudged:
		case <-time.After(max(wait, 0)):
		}
	}
	return ctx.Err()
}
