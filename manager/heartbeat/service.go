// Package heartbeat watches Workers by facts: what their containers do, and what
// the gateways recorded of their requests. No Worker is ever asked. Rules in Rego
// say what the facts mean; each Worker's spec says what is then done.
//
// # Crashes
//
// What a Worker's health is, is in the store, written in one transaction with the
// event that tells of it and with what is done: after a crash nothing is told or
// done twice. What was counted is counted again from the log.
//
// # Doubt
//
// Where the rules can't say, or the backend does not answer, nothing becomes
// better than it was. Nothing here ever resumes what was suspended.
package heartbeat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

// Every is how often Workers are looked at, unless an option says otherwise.
const Every = 10 * time.Second

const (
	pageSize = 500     // entries of the log that are read at once
	maxBack  = 200_000 // of them that are read after a start
)

// Options of a service. The zero value works.
type Options struct {
	Every   time.Duration // between looks; 0: [Every]
	Backoff time.Duration // between the first restart of a Worker and the second; 0: [Backoff]
	// Background are IDs of targets that are as if they had [LabelBackground].
	Background []string
	Log        *slog.Logger          // nil: slog.Default
	Metrics    prometheus.Registerer // nil: a registry of its own
	Now        func() time.Time      // nil: time.Now; the store must have the same
}

// A Service watches the Workers of one store. There must be one for each store.
type Service struct {
	store    *store.Store
	launcher manager.Launcher
	opt      Options
	metrics  *metrics

	// What follows is used by one round at a time.
	rules    *rules
	read     bool   // whether position is known
	position uint64 // up to which the log was read
	counters map[string]*counter

	mu  sync.Mutex
	now map[string]manager.WorkerFacts // by Worker, as of the last round
}

// New returns a service that does nothing until it is run.
func New(s *store.Store, l manager.Launcher, opt Options) (*Service, error) {
	opt.Every, opt.Backoff = cmp.Or(opt.Every, Every), cmp.Or(opt.Backoff, Backoff)
	opt.Log = cmp.Or(opt.Log, slog.Default())
	if opt.Now == nil {
		opt.Now = time.Now
	}
	clock := opt.Now
	opt.Now = func() time.Time { return clock().UTC().Truncate(time.Millisecond) } // as the store keeps times
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	h := &Service{store: s, launcher: l, opt: opt, counters: map[string]*counter{}, now: map[string]manager.WorkerFacts{}}
	var err error
	if h.rules, err = newRules("", manager.PolicySource{}); err != nil {
		return nil, err
	}
	h.metrics, err = newMetrics(opt.Metrics, s)
	return h, err
}

// Run looks at all Workers again and again until ctx is done.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(s.opt.Every)
	defer tick.Stop()
	for {
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failed.Inc()
			s.opt.Log.Error("heartbeat: not all Workers were looked at", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Facts are those of the last look at a Worker; nil: it was not looked at.
func (s *Service) Facts(worker string) *manager.WorkerFacts {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.now[worker]
	if !ok {
		return nil
	}
	return &f
}

// Look looks once at all Workers. It must not be called while Run runs.
func (s *Service) Look(ctx context.Context) error {
	start := time.Now()
	if err := s.refresh(ctx); err != nil {
		return err
	}
	all, err := s.workers(ctx)
	if err != nil {
		return err
	}
	if err := s.follow(ctx, all); err != nil {
		return err
	}
	there, err := s.instances(ctx)
	if err != nil {
		s.metrics.failed.Inc()
		s.opt.Log.Error("heartbeat: the backend can't be read", slog.Any("error", err))
	}
	facts := make(map[string]manager.WorkerFacts, len(all))
	var failed error
	for _, w := range all {
		if w.Task == manager.TaskDelete {
			continue
		}
		f := s.facts(w, there)
		facts[w.ID] = f
		if err := s.look(ctx, w, f); err != nil { // which must not keep the others from being looked at
			failed = errors.Join(failed, fmt.Errorf("worker %q: %w", w.ID, err))
		}
	}
	s.mu.Lock()
	s.now = facts
	s.mu.Unlock()
	if failed == nil {
		s.metrics.looked(start, s.opt.Now())
	}
	return failed
}

// refresh takes over the rules of a policy that has gone live.
func (s *Service) refresh(ctx context.Context) error {
	id, src, err := s.store.LivePolicy(ctx, s.rules.policy)
	if err != nil || id == s.rules.policy {
		return err
	}
	r, err := newRules(id, src)
	if err != nil {
		return err
	}
	s.rules = r
	log := s.opt.Log.With(slog.String("policy", id), slog.String("own_rules_for", strings.Join(r.overrides(), " ")))
	if r.problem != "" {
		s.metrics.ruleFailures.Inc()
		log.Error("heartbeat: the policy's rules can't be used", slog.String("error", r.problem))
		return nil
	}
	log.Info("heartbeat: asks the rules of this policy first")
	return nil
}

// workers are all of them with their health.
func (s *Service) workers(ctx context.Context) (all []manager.WatchedWorker, err error) {
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.store.WatchedWorkers(ctx, "", p)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		if p.After = l.After; p.After == "" {
			return all, nil
		}
	}
}

// follow counts what came to the log since it was last read.
func (s *Service) follow(ctx context.Context, all []manager.WatchedWorker) error {
	if err := s.count(ctx, all); err != nil {
		return err
	}
	background, err := s.background(ctx)
	if err != nil {
		return err
	}
	if !s.read {
		from, err := s.store.LogSince(ctx, s.opt.Now().Add(-history))
		if err != nil {
			return err
		}
		size, err := s.store.LogSize(ctx)
		if err != nil {
			return err
		}
		s.position = max(from, size-min(size, maxBack))
		s.read = true
	}
	for {
		entries, err := s.store.Log(ctx, s.position, pageSize)
		if err != nil {
			return err
		}
		for _, e := range entries {
			s.position = e.Position + 1
			if e.Record == nil {
				continue
			}
			if c := s.counters[e.Record.Consumer]; c != nil {
				c.add(e.Record, e.Time, background[e.Record.Target])
			}
		}
		if len(entries) < pageSize {
			return nil
		}
	}
}

// background are the targets to which requests are no sign of work.
func (s *Service) background(ctx context.Context) (map[string]bool, error) {
	m := map[string]bool{}
	for _, id := range s.opt.Background {
		m[id] = true
	}
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.store.Targets(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, t := range l.Items {
			if label, ok := t.Labels[LabelBackground]; ok {
				m[t.ID] = label == "true"
			}
		}
		if p.After = l.After; p.After == "" {
			return m, nil
		}
	}
}

// count has a counter for each Worker, and for nobody else.
func (s *Service) count(ctx context.Context, all []manager.WatchedWorker) error {
	has := make(map[string]bool, len(all))
	for _, w := range all {
		has[w.Consumer] = true
		from := later(w.Created, w.Health.CountedFrom)
		if c := s.counters[w.Consumer]; c != nil {
			c.restart(from)
			continue
		}
		last, err := s.store.LastRequest(ctx, w.Consumer)
		if err != nil {
			return err
		}
		s.counters[w.Consumer] = newCounter(from, last)
	}
	for consumer := range s.counters {
		if !has[consumer] {
			delete(s.counters, consumer)
		}
	}
	return nil
}

// instances are what the backend has, by Worker; nil: it does not answer.
func (s *Service) instances(ctx context.Context) (map[string]manager.Instance, error) {
	list, err := s.launcher.Instances(ctx)
	if err != nil {
		return nil, err
	}
	there := make(map[string]manager.Instance, len(list))
	for _, i := range list {
		there[i.Worker] = i
	}
	return there, nil
}

// facts are what is known of a Worker now.
func (s *Service) facts(w manager.WatchedWorker, there map[string]manager.Instance) manager.WorkerFacts {
	now := s.opt.Now()
	f := manager.WorkerFacts{
		Now: now.Unix(), Restarts: w.Health.Restarts,
		Worker: manager.FactsWorker{
			ID: w.ID, Labels: w.Labels, Task: string(w.Task), Problem: w.Problem, IdleStopSeconds: w.Heartbeat.IdleStopSeconds,
			HourTokens: w.Heartbeat.HourTokens,
		},
	}
	if f.Worker.Labels == nil {
		f.Worker.Labels = map[string]string{}
	}
	i, ok := there[w.ID]
	switch {
	case there == nil:
		f.Container.Phase = phaseUnknown
	case !ok || i.Run == "":
		f.Container.Phase = phaseNone
	default:
		f.Container = manager.FactsContainer{Phase: string(i.Phase), Detail: i.Detail, Seconds: secondsSince(now, i.Started)}
	}
	c := s.counters[w.Consumer]
	c.facts(&f, now, i.Started)
	f.LookedSeconds = secondsSince(now, later(c.from, now.Add(-history)))
	return f
}

// look keeps what a Worker's health is now, and does what is to be done.
func (s *Service) look(ctx context.Context, w manager.WatchedWorker, f manager.WorkerFacts) error {
	if w.Suspended { // asleep, or somebody is to look at why
		return nil
	}
	now := s.opt.Now()
	v := s.rules.verdict(f, now)
	if v.problem != "" {
		s.metrics.ruleFailures.Inc()
		if v.problem != w.Health.Problem {
			s.opt.Log.Error("heartbeat: rules failed", slog.String("worker", w.ID), slog.String("error", v.problem))
		}
	}
	o := decide(w.Worker, w.Health, v, f, s.opt.Backoff, now)
	if !o.news && o.do == "" && !o.sleep {
		if same(o.health, w.Health) {
			return nil
		}
		if o.health.Facts == nil && o.health.State == w.Health.State { // lists are without
			kept, err := s.store.WorkerHealth(ctx, w.ID)
			if err != nil {
				return err
			}
			o.health.Facts = kept.Facts
		}
		return s.store.NoteWorkerHealth(ctx, w.ID, o.health)
	}
	return s.apply(ctx, w.Worker, o, f)
}
