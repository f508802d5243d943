package store

import (
	"context"
	"encoding/json"
	"time"

	"keyward/manager"
)

const healthColumns = `state, reason, since, counted_from, restarts, restarted, problem, facts`

// healthRow are the columns of h, to scan or to bind.
func healthRow(h *manager.WorkerHealth) []any {
	return []any{&h.State, &h.Reason, milli{&h.Since}, milli{&h.CountedFrom}, &h.Restarts, milli{&h.Restarted}, &h.Problem, jsonText{&h.Facts}}
}

// WorkerHealth returns what the heartbeat made of a Worker; the zero value: it was
// not looked at.
func (r reader) WorkerHealth(ctx context.Context, id string) (manager.WorkerHealth, error) {
	var h manager.WorkerHealth
	err := r.q.QueryRowContext(ctx, `SELECT `+healthColumns+` FROM worker_health WHERE worker = $1`, id).Scan(healthRow(&h)...)
	if noRows(err) {
		err = nil
	}
	return h, err
}

// WatchedWorker returns a Worker with its health.
func (s *Store) WatchedWorker(ctx context.Context, id string) (w manager.WatchedWorker, err error) {
	err = s.view(ctx, func(r reader) error {
		if w.Worker, err = r.Worker(ctx, id); err != nil {
			return err
		}
		w.Health, err = r.WorkerHealth(ctx, id)
		return err
	})
	return w, err
}

// WatchedWorkers returns a page of Workers with their health, but without the
// facts. A state that is not empty takes those alone that are in it.
func (s *Store) WatchedWorkers(ctx context.Context, state manager.HealthState, p manager.Page) (manager.List[manager.WatchedWorker], error) {
	l := manager.List[manager.WatchedWorker]{Items: []manager.WatchedWorker{}}
	err := s.view(ctx, func(r reader) error {
		page, err := workers.page(ctx, r.q, p, `$1 = '' OR EXISTS (SELECT 1 FROM worker_health h WHERE h.worker = x.id AND h.state = $1)`, string(state))
		if err != nil || len(page.Items) == 0 {
			return err
		}
		l.After = page.After
		health, err := r.healthBetween(ctx, page.Items[0].ID, page.Items[len(page.Items)-1].ID)
		if err != nil {
			return err
		}
		for _, w := range page.Items {
			h := health[w.ID]
			h.Facts = nil
			l.Items = append(l.Items, manager.WatchedWorker{Worker: w, Health: h})
		}
		return nil
	})
	return l, err
}

func (r reader) healthBetween(ctx context.Context, first, last string) (map[string]manager.WorkerHealth, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT worker, `+healthColumns+` FROM worker_health WHERE worker >= $1 AND worker <= $2`, first, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	m := map[string]manager.WorkerHealth{}
	for rows.Next() {
		var worker string
		var h manager.WorkerHealth
		if err := rows.Scan(append([]any{&worker}, healthRow(&h)...)...); err != nil {
			return nil, err
		}
		m[worker] = h
	}
	return m, rows.Err()
}

// HealthCounts returns how many Workers are in each state that is not empty.
func (r reader) HealthCounts(ctx context.Context) (map[manager.HealthState]int, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT state, COUNT(*) FROM worker_health WHERE state <> '' GROUP BY state`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	m := map[manager.HealthState]int{}
	for rows.Next() {
		var state manager.HealthState
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		m[state] = n
	}
	return m, rows.Err()
}

// keepHealth writes what the heartbeat made of a Worker, over exec of a mutation
// or of an observation.
func keepHealth(exec execFunc, id string, h manager.WorkerHealth) error {
	return exec(`INSERT INTO worker_health (worker, `+healthColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (worker) DO UPDATE SET state = excluded.state, reason = excluded.reason, since = excluded.since,
		counted_from = excluded.counted_from, restarts = excluded.restarts, restarted = excluded.restarted,
		problem = excluded.problem, facts = excluded.facts`, append([]any{id}, healthRow(&h)...)...)
}

// SetWorkerHealth keeps what a Worker of this version is, and records it if it is
// news. If it is not, something else of the Worker must be recorded after it.
func (t *Tx) SetWorkerHealth(ctx context.Context, id string, version uint64, h manager.WorkerHealth, news bool) error {
	if _, err := workers.checked(ctx, t, id, version); err != nil {
		return err
	}
	before, err := t.WorkerHealth(ctx, id)
	if err != nil {
		return err
	}
	err = keepHealth(func(query string, args ...any) error { _, err := t.exec(ctx, query, args...); return err }, id, h)
	if err != nil || !news {
		return err
	}
	return t.record(ctx, manager.KindWorker, manager.HealthVerb+string(h.State), id, before, h)
}

// NoteWorkerHealth is SetWorkerHealth for what is no news: it is not recorded.
func (s *Store) NoteWorkerHealth(ctx context.Context, id string, h manager.WorkerHealth) error {
	return s.observe(ctx, func(exec execFunc) error { return keepHealth(exec, id, h) })
}

// countAfresh has what a Worker did before not count for its health any more.
// Something of the Worker must be recorded after it.
func (t *Tx) countAfresh(ctx context.Context, id string) error {
	_, err := t.exec(ctx, `UPDATE worker_health SET state = '', reason = '', counted_from = $1, restarts = 0 WHERE worker = $2`, t.at.UnixMilli(), id)
	return err
}

// LivePolicy returns the id of the policy that is live, empty for none, and its
// text, unless it is the one that the caller knows.
func (r reader) LivePolicy(ctx context.Context, known string) (id string, src manager.PolicySource, err error) {
	if id, err = r.livePolicy(ctx); err != nil || id == "" || id == known {
		return id, src, err
	}
	var b []byte
	if err = r.q.QueryRowContext(ctx, `SELECT source FROM policy_texts WHERE policy = $1`, id).Scan(&b); err == nil {
		err = json.Unmarshal(b, &src)
	}
	return id, src, err
}

// LogSince is the position of the first entry of the log that was stored at an
// instant or later; without any, that of the next to come.
func (r reader) LogSince(ctx context.Context, at time.Time) (uint64, error) {
	high, err := r.LogSize(ctx)
	if err != nil {
		return 0, err
	}
	for low := uint64(0); low < high; {
		mid := low + (high-low)/2
		var ms int64
		if err := r.q.QueryRowContext(ctx, `SELECT time FROM log WHERE position = $1`, mid).Scan(&ms); err != nil {
			return 0, err
		}
		if ms < at.UnixMilli() {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return high, nil
}

// LastRequest is when a consumer's last request was stored in the log; the zero
// time: never.
func (r reader) LastRequest(ctx context.Context, consumer string) (time.Time, error) {
	var at time.Time
	err := r.q.QueryRowContext(ctx, `SELECT time FROM log WHERE consumer = $1 AND consumer <> '' AND kind IN ('decision', 'outcome')
		ORDER BY position DESC LIMIT 1`, consumer).Scan(milli{&at})
	if noRows(err) {
		err = nil
	}
	return at, err
}
