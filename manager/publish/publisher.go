package publish

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Times of a publisher.
const (
	resyncEvery = 5 * time.Minute // a change that the watch did not show
	retryFirst  = time.Second     // after a failure, then twice as long each time
	retryLast   = time.Minute
	applyWithin = 30 * time.Second
	// repairPause is after a repair, then twice as long each time: another who
	// keeps changing a resource is not outrun.
	repairPause = 200 * time.Millisecond
	repairCalm  = time.Minute // without a repair after which it begins anew
)

// PublisherOptions of a publisher. The zero value works.
type PublisherOptions struct {
	Log *slog.Logger // nil: slog.Default
	// Changed is told of every resource that was created or repaired, and of every
	// failure; nil: nobody is.
	Changed func(resource string, c Change, err error)
}

// A Publisher keeps resources as they should be in a place.
type Publisher struct {
	place     Place
	resources []Resource
	opt       PublisherOptions

	mu     sync.Mutex
	status Status
}

// A Status says what came of publishing.
type Status struct {
	Applied  time.Time // when all resources were as they should be; zero: never
	Repaired uint64    // resources that were found to be otherwise, and repaired
	Err      error     // of the last try; nil: it was a success
}

// NewPublisher returns a publisher that does nothing until it runs.
func NewPublisher(place Place, resources []Resource, opt PublisherOptions) *Publisher {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Changed == nil {
		opt.Changed = func(string, Change, error) {}
	}
	return &Publisher{place: place, resources: resources, opt: opt}
}

// Status returns what came of publishing so far.
func (p *Publisher) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Run publishes, and repairs what others change, until ctx is done.
func (p *Publisher) Run(ctx context.Context) {
	drift := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { p.watch(ctx, drift) })
	var fails, repairs pause
	fails = pause{first: retryFirst, last: retryLast}
	repairs = pause{first: repairPause, last: retryLast}
	for {
		repaired, err := p.apply(ctx)
		wait := resyncEvery
		hold := time.Duration(0) // before drift is looked at again
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = fails.next()
		case repaired:
			fails.reset()
			hold = repairs.next()
		default:
			fails.reset()
			repairs.calm(repairCalm)
		}
		if !sleep(ctx, hold) {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-drift:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// watch has drift hear of changes, and begins anew when the place fails.
func (p *Publisher) watch(ctx context.Context, drift chan<- struct{}) {
	names := make([]string, len(p.resources))
	for i, r := range p.resources {
		names[i] = r.Metadata.Name
	}
	again := pause{first: retryFirst, last: retryLast}
	for ctx.Err() == nil {
		err := p.place.Watch(ctx, names, func() {
			select {
			case drift <- struct{}{}:
			default: // one look is enough for all
			}
		})
		if ctx.Err() == nil && err != nil {
			p.opt.Log.WarnContext(ctx, "watching the plugins' resources failed", slog.Any("error", err))
			sleep(ctx, again.next())
		}
	}
}

// apply applies every resource, also when one fails.
func (p *Publisher) apply(ctx context.Context) (repaired bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, applyWithin)
	defer cancel()
	var errs []error
	count := uint64(0)
	for _, r := range p.resources {
		change, err := p.place.Apply(ctx, r)
		if err == nil && change.Kind == Unchanged {
			continue
		}
		if ctx.Err() == nil || err == nil {
			p.opt.Changed(r.Metadata.Name, change, err)
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case change.Kind == Repaired:
			count++
			p.opt.Log.WarnContext(ctx, "a plugin's resource was not as published; repaired",
				slog.String("resource", r.Metadata.Name), slog.String("by", change.By))
		default:
			p.opt.Log.InfoContext(ctx, "published a plugin's resource", slog.String("resource", r.Metadata.Name))
		}
	}
	err = errors.Join(errs...)
	if err != nil && ctx.Err() == nil {
		p.opt.Log.ErrorContext(ctx, "publishing the plugins failed", slog.Any("error", err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Err = err
	p.status.Repaired += count
	if err == nil {
		p.status.Applied = time.Now()
	}
	return count > 0, err
}

// A pause grows with every failure.
type pause struct {
	first, last time.Duration
	now         time.Duration
	since       time.Time // last time that it grew
}

func (p *pause) next() time.Duration {
	p.now = min(max(2*p.now, p.first), p.last)
	p.since = time.Now()
	return p.now
}

func (p *pause) reset() { p.now = 0 }

// calm resets a pause that has not grown for a while.
func (p *pause) calm(d time.Duration) {
	if time.Since(p.since) > d {
		p.reset()
	}
}

// sleep waits for d, and reports whether ctx is not done.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
