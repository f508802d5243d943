package store

import "context"

// Forwarded is the position of the first entry of the log that a receiver may
// lack; 0: it was never given any.
func (r reader) Forwarded(ctx context.Context, name string) (uint64, error) {
	var n uint64
	err := r.q.QueryRowContext(ctx, `SELECT position FROM log_forwarded WHERE name = $1`, name).Scan(&n)
	if noRows(err) {
		err = nil
	}
	return n, err
}

// Forward notes that a receiver has all entries before a position. It never goes
// back.
func (s *Store) Forward(ctx context.Context, name string, position uint64) error {
	return s.observe(ctx, func(exec execFunc) error {
		return exec(`INSERT INTO log_forwarded (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE log_forwarded.position < excluded.position`,
			name, position)
	})
}
