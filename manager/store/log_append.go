package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"keyward/manager"
	"keyward/policies"
)

// A batch is what one VM of a gateway wants to have in the log.
type batch struct {
	gateway, vm string
	records     []policies.Record
	done        chan error // of one element: how it went
}

// maxGroup bounds the records of one transaction, beyond one batch.
const maxGroup = 5000

// batches are those that wait for their turn. One transaction takes all of them:
// that the disk has it costs the same for one as for many.
type batches struct {
	mu      sync.Mutex
	waiting []*batch
	turn    chan struct{} // holds one element while a group is being written
}

func (b *batches) add(x *batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, x)
}

// take returns the next group: one batch of each VM, so that the numbers that a
// VM has in the log are the same for the whole transaction.
func (b *batches) take() []*batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	var group, rest []*batch
	seen, n := map[[2]string]bool{}, 0
	for _, x := range b.waiting {
		key := [2]string{x.gateway, x.vm}
		if seen[key] || n > 0 && n+len(x.records) > maxGroup {
			rest = append(rest, x)
		} else {
			group = append(group, x)
			n += len(x.records)
		}
		seen[key] = true // what a VM sent later stays later
	}
	b.waiting = rest
	return group
}

// AppendRecords adds to the log what a gateway's VM sent: each record once, by
// its sequence number, however often it is sent. Records must be in the order of
// their numbers. Numbers that were passed over are themselves an entry; a record
// that comes after all is added then.
//
// Batches that come at the same time are written together. When ctx is done
// first, records may be stored nevertheless.
func (s *Store) AppendRecords(ctx context.Context, gateway, vm string, records []policies.Record) error {
	if len(records) == 0 {
		return nil
	}
	x := &batch{gateway, vm, records, make(chan error, 1)}
	s.batches.add(x)
	for {
		select {
		case err := <-x.done: // another's turn took it along
			return err
		case <-ctx.Done():
			return ctx.Err()
		case s.batches.turn <- struct{}{}:
			s.appendGroup(context.WithoutCancel(ctx), s.batches.take())
			<-s.batches.turn
		}
	}
}

// groupTime is how long a group of batches may take to write.
const groupTime = time.Minute

// appendGroup writes batches and tells each how it went. What can't be written
// together is written one by one: a bad batch is no other's fault.
func (s *Store) appendGroup(ctx context.Context, group []*batch) {
	ctx, cancel := context.WithTimeout(ctx, groupTime)
	defer cancel()
	err := s.appendBatches(ctx, group)
	for _, x := range group {
		if err != nil && len(group) > 1 && ctx.Err() == nil {
			x.done <- s.appendBatches(ctx, []*batch{x})
		} else {
			x.done <- err
		}
	}
}

// appendBatches writes batches of several VMs in one transaction.
func (s *Store) appendBatches(ctx context.Context, group []*batch) error {
	if len(group) == 0 {
		return nil
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	a, err := beginAppend(ctx, tx, s.insertOne)
	if err != nil {
		return err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	for _, x := range group {
		if err := a.batch(ctx, x, now); err != nil {
			return err
		}
	}
	if a.n == 0 {
		return nil
	}
	if err := a.commit(ctx); err != nil {
		return err
	}
	if err := s.notify(ctx, tx, notifyLog); err != nil {
		return fmt.Errorf("store: notify: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	s.logged.give()
	return nil
}

// batch adds those records of a batch that are not in the log, and what is
// missing between them.
func (a *appender) batch(ctx context.Context, x *batch, now time.Time) error {
	last, known, err := sequences(ctx, a.tx, x.gateway, x.vm, x.records[0].Sequence)
	if err != nil {
		return err
	}
	base := manager.Entry{Time: now, Gateway: x.gateway, VM: x.vm}
	for i := range x.records {
		r := &x.records[i]
		if r.Sequence > last+1 {
			gap := base
			gap.Kind, gap.Gap = manager.EntryGap, &manager.Gap{First: last + 1, Last: r.Sequence - 1}
			if err := a.add(gap); err != nil {
				return err
			}
		}
		last = max(last, r.Sequence)
		if known[r.Sequence] {
			continue
		}
		e := base
		e.Kind, e.Record = manager.EntryKind(r.Type), r
		if err := a.add(e); err != nil {
			return err
		}
	}
	return nil
}

// sequences returns the highest number that a VM's records have in the log, and
// those from first on that are there.
func sequences(ctx context.Context, q queryer, gateway, vm string, first uint64) (last uint64, known map[uint64]bool, err error) {
	const where = ` FROM log WHERE gateway = $1 AND vm = $2 AND sequence > 0`
	err = q.QueryRowContext(ctx, `SELECT sequence`+where+` ORDER BY sequence DESC LIMIT 1`, gateway, vm).Scan(&last)
	if noRows(err) || err == nil && last < first {
		return last, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT sequence`+where+` AND sequence >= $3`, gateway, vm, first)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	known = map[uint64]bool{}
	for rows.Next() {
		var n uint64
		if err := rows.Scan(&n); err != nil {
			return 0, nil, err
		}
		known[n] = true
	}
	return last, known, rows.Err()
}
