package forward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

// Bounds of what is sent at once.
const (
	maxEntries = 500
	maxBytes   = 1 << 20 // of their texts
)

// Times of trying again.
const (
	firstPause = 500 * time.Millisecond
	longPause  = time.Minute
	sendTime   = 30 * time.Second
)

// A Sink gives entries of one log to a receiver. Its errors are [*StatusError]
// where the receiver answered.
type Sink interface {
	// Send returns nil once the receiver has all that is for it among entries.
	Send(ctx context.Context, epoch string, entries []manager.LogEntry) error
}

// A StatusError is an answer of a receiver that has not taken what it was sent.
type StatusError struct {
	Status int
	After  time.Duration // that it wants to be left alone; 0: it did not say
}

func (e *StatusError) Error() string { return fmt.Sprintf("the receiver answers %d", e.Status) }

// refused reports an answer that the same entries would get again.
func (e *StatusError) refused() bool {
	return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnprocessableEntity
}

// Options of a forwarder. The zero value works.
type Options struct {
	Log     *slog.Logger          // nil: slog.Default
	Metrics prometheus.Registerer // nil: none
	// Pause is before the second try; later ones wait longer. 0: half a second.
	Pause time.Duration
}

// A Forwarder passes a store's log on to one receiver. One Manager of a store runs
// it at a time.
type Forwarder struct {
	store *store.Store
	name  string
	sink  Sink
	log   *slog.Logger
	pause time.Duration

	sent            prometheus.Counter
	failed, refused prometheus.Counter
}

// New returns the forwarder to a receiver. By its name the store knows how far it
// has the log: a new name begins at the log's beginning.
func New(s *store.Store, name string, sink Sink, opt Options) (*Forwarder, error) {
	f := &Forwarder{
		store: s, name: name, sink: sink,
		log:   cmp.Or(opt.Log, slog.Default()).With(slog.String("receiver", name)),
		pause: cmp.Or(opt.Pause, firstPause),
	}
	labels := prometheus.Labels{"receiver": name}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	f.sent = counter("keyward_forward_entries_total", "Entries of the audit log that the receiver has taken, or that are not for it.")
	f.failed = counter("keyward_forward_failures_total", "Times that it did not take what it was sent.")
	f.refused = counter("keyward_forward_refused_total", "Entries that it refused for good, and lacks.")
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_forward_waiting_entries", Help: "Entries of the audit log that it does not have yet.", ConstLabels: labels,
	}, f.waiting)
	if opt.Metrics == nil {
		return f, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{f.sent, f.failed, f.refused, waiting} {
		errs = append(errs, opt.Metrics.Register(c))
	}
	return f, errors.Join(errs...)
}

func (f *Forwarder) waiting() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	size, err := f.store.LogSize(ctx)
	position, err2 := f.store.Forwarded(ctx, f.name)
	if err != nil || err2 != nil || size < position {
		return 0
	}
	return float64(size - position)
}

// Run passes entries on as they come, until ctx is done.
func (f *Forwarder) Run(ctx context.Context) {
	var failures int
	most := maxEntries
	for ctx.Err() == nil {
		logged := f.store.Logged()
		n, err := f.step(ctx, most)
		var status *StatusError
		switch {
		case ctx.Err() != nil:
		case err == nil && n > 0:
			failures, most = 0, maxEntries
		case err == nil:
			select {
			case <-ctx.Done():
			case <-logged:
			}
		case errors.As(err, &status) && status.refused() && n > 1:
			most = n / 2 // one of them may be at fault
		default:
			f.failed.Inc()
			wait := min(f.pause<<min(failures, 10), longPause)
			if status != nil {
				wait = max(wait, min(status.After, 10*longPause))
			}
			failures++
			f.log.Warn("the audit log is not passed on", slog.Any("error", err), slog.Int("tries", failures), slog.Duration("again_in", wait))
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}
}

// step sends the next entries, up to most, and returns how many there were.
func (f *Forwarder) step(ctx context.Context, most int) (n int, err error) {
	st, err := f.store.Generation(ctx)
	if err != nil {
		return 0, err
	}
	position, err := f.store.Forwarded(ctx, f.name)
	if err != nil {
		return 0, err
	}
	entries, err := f.store.Log(ctx, position, most)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	entries = within(entries, maxBytes)
	limited, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	var status *StatusError
	switch err := f.sink.Send(limited, st.Epoch, entries); {
	case errors.As(err, &status) && status.refused() && len(entries) == 1:
		// It would stop all that come after it.
		f.refused.Inc()
		f.log.Error("the receiver refuses an entry, which it lacks now", slog.Uint64("position", entries[0].Position), slog.Int("status", status.Status))
	case err != nil:
		return len(entries), err
	default:
		f.sent.Add(float64(len(entries)))
	}
	return len(entries), f.store.Forward(ctx, f.name, entries[len(entries)-1].Position+1)
}

// within is the beginning of a list of which the texts keep to a bound, but one
// entry at least.
func within(entries []manager.LogEntry, bytes int) []manager.LogEntry {
	for i, e := range entries {
		if bytes -= len(e.Body); bytes < 0 && i > 0 {
			return entries[:i]
		}
	}
	return entries
}
