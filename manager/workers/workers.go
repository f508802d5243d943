// Package workers brings Workers to what the store says is wanted of them: it
// makes their parts, issues their tokens, launches, stops and removes their
// containers, and rotates their tokens in time.
//
// # Crashes
//
// What is wanted, and how far it is, is in the store. Every step may be taken
// again: after a crash a task goes on where it was. A token whose text was lost
// with the crash is replaced by another and revoked. A task that can't succeed is
// given up, and then there is neither a container nor a live token; but an update
// to an image that is not there leaves all as it was.
//
// Tokens and grants die with the mutation that asks for it, before any step.
package workers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

const (
	parallel   = 4                // Workers that are worked on at once
	lookEvery  = time.Minute      // for orphans, lost containers and due rotations
	firstRetry = time.Second      // doubled with each failure
	lastRetry  = time.Minute      //
	stepsLimit = 10 * time.Minute // of one task; pulling an image may take long
)

// A Part is something beside consumer and container that a Worker needs, such as
// its Matrix user and room, or its prefix in an object store. Both methods may be
// called again, and then finish what they had begun.
type Part interface {
	// Name tells parts apart. It is kept in the store, and so never changes.
	Name() string
	// Make makes the part, or finds it made.
	Make(ctx context.Context, w manager.Worker) error
	// Retire ends what the part lets the Worker do. What is evidence stays.
	Retire(ctx context.Context, w manager.Worker) error
}

// A Rotation says when Workers get new tokens by themselves.
type Rotation struct {
	Every   time.Duration // age of a token that is replaced; 0: never
	Overlap time.Duration // for which the old one lives on
}

// Options of a service. Environment must be set.
type Options struct {
	Environment Environment
	Parts       []Part // made in this order, retired in the reverse one
	Rotation    Rotation
	Log         *slog.Logger          // nil: slog.Default
	Metrics     prometheus.Registerer // nil: a registry of its own
	Now         func() time.Time      // nil: time.Now
}

// A Service looks after the Workers of one store with one backend. There must be
// one for each store, and it is used by several goroutines at once.
type Service struct {
	store    *store.Store
	launcher manager.Launcher
	opt      Options
	metrics  *metrics

	mu    sync.Mutex
	busy  map[string]bool
	later map[string]retry // by Worker
	freed chan struct{}    // has a value after work has ended
}

// A retry says when the task of a Worker is next tried.
type retry struct {
	version uint64 // of the Worker after the last; another one is tried at once
	tries   int
	at      time.Time
}

// New returns a service that does nothing until it is run.
func New(s *store.Store, l manager.Launcher, opt Options) (*Service, error) {
	if err := opt.Environment.check(); err != nil {
		return nil, err
	}
	opt.Log = cmp.Or(opt.Log, slog.Default())
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	w := &Service{
		store: s, launcher: l, opt: opt,
		busy: map[string]bool{}, later: map[string]retry{}, freed: make(chan struct{}, 1),
	}
	var err error
	w.metrics, err = newMetrics(opt.Metrics, w)
	return w, err
}

// Run looks after Workers until ctx is done. What it is at is then cut short, and
// goes on with the next run.
func (s *Service) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	found := s.look(ctx, true)
	for {
		changed := s.store.Changed()
		wait := time.NewTimer(s.round(ctx, &working))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-s.freed:
		case <-wait.C:
		case <-look.C:
			s.rotate(ctx)
			found = s.look(ctx, !found) || found
		}
		wait.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// round begins what is to be done, as far as there is room, and returns when to
// look again at the latest.
func (s *Service) round(ctx context.Context, working *sync.WaitGroup) time.Duration {
	next := lookEvery
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.store.WorkersToDo(ctx, p)
		if err != nil {
			s.opt.Log.Error("workers: the store can't be read", slog.Any("error", err))
			return lastRetry
		}
		for _, w := range l.Items {
			wait, ok := s.begin(w)
			if wait > 0 {
				next = min(next, wait)
			}
			if ok {
				working.Go(func() {
					defer s.end(w.ID)
					s.work(ctx, w)
				})
			}
		}
		if p.After = l.After; p.After == "" {
			return next
		}
	}
}

// begin takes a Worker to be worked on, or says how long to wait with it; 0: for
// others to end.
func (s *Service) begin(w manager.Worker) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[w.ID] || len(s.busy) >= parallel {
		return 0, false
	}
	if r, ok := s.later[w.ID]; ok && r.version == w.Version {
		if wait := r.at.Sub(s.opt.Now()); wait > 0 {
			return wait, false
		}
	} else {
		delete(s.later, w.ID)
	}
	s.busy[w.ID] = true
	return 0, true
}

func (s *Service) end(worker string) {
	s.mu.Lock()
	delete(s.busy, worker)
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// work does what is to be done to a Worker, and keeps what came of it.
func (s *Service) work(ctx context.Context, w manager.Worker) {
	log := s.opt.Log.With(slog.String("worker", w.ID))
	bounded, cancel := context.WithTimeout(ctx, stepsLimit)
	defer cancel()
	err := s.converge(bounded, &w)
	switch {
	case ctx.Err() != nil: // goes on with the next run
	case err == nil, errors.Is(err, manager.ErrVersion): // wanted otherwise meanwhile: the next round sees it
		s.forgive(w.ID)
	case w.Task != manager.TaskDelete && permanent(err):
		log.Warn("worker: given up", slog.String("task", string(w.Task)), slog.Any("error", err))
		s.metrics.failures.WithLabelValues("given_up").Inc()
		if err := s.giveUp(ctx, w, err); err != nil {
			log.Error("worker: giving up failed", slog.Any("error", err))
			s.postpone(w)
		}
	default:
		log.Warn("worker: task failed, is tried again", slog.String("task", string(w.Task)), slog.Any("error", err))
		s.metrics.failures.WithLabelValues("retried").Inc()
		s.postpone(w)
		if err := s.store.NoteWorker(ctx, w.ID, w.Version, w.Done, problem(w, err)); err != nil {
			log.Error("worker: its problem was not kept", slog.Any("error", err))
		}
	}
}

// permanent reports whether trying again would end the same way.
func permanent(err error) bool {
	for _, e := range []error{manager.ErrInvalid, manager.ErrState, manager.ErrNotFound, manager.ErrLimit} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Service) postpone(w manager.Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.later[w.ID]
	r.version, r.tries = w.Version, r.tries+1
	r.at = s.opt.Now().Add(min(firstRetry<<min(r.tries-1, 10), lastRetry))
	s.later[w.ID] = r
}

func (s *Service) forgive(worker string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.later, worker)
}

// short is an error as the store keeps it. It may quote what an engine or a
// registry said; PostgreSQL takes neither NUL nor half a character.
func short(err error) string {
	const most = 500
	text := strings.ReplaceAll(err.Error(), "\x00", "")
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
