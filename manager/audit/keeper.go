package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager"
	"keyward/manager/store"
)

// DefaultEvery is the time between two checkpoints of a log that grows.
const DefaultEvery = 5 * time.Second

// Options of a keeper. The zero value works.
type Options struct {
	Every time.Duration // 0: DefaultEvery
	Log   *slog.Logger  // nil: slog.Default
	Now   func() time.Time
}

// A Keeper signs checkpoints of a store's log. Keepers of several Managers of one
// store have the same key.
type Keeper struct {
	store *store.Store
	key   *Key
	pub   note.Verifier
	opt   Options
	mu    sync.Mutex // one checkpoint at a time
}

// NewKeeper returns the keeper of a store's log.
func NewKeeper(s *store.Store, key *Key, opt Options) (*Keeper, error) {
	pub, err := ParsePublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	opt.Every = cmp.Or(opt.Every, DefaultEvery)
	opt.Log = cmp.Or(opt.Log, slog.Default())
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Keeper{store: s, key: key, pub: pub, opt: opt}, nil
}

// PublicKey is the text of the key that checkpoints are signed with.
func (k *Keeper) PublicKey() string { return k.key.Public() }

// Run makes a checkpoint every few seconds while the log grows, until ctx is
// done.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.opt.Every)
	defer tick.Stop()
	for {
		logged := k.store.Logged()
		if _, err := k.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			k.opt.Log.LogAttrs(ctx, slog.LevelError, "no checkpoint of the audit log", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select { // nothing new: no look at the store
		case <-ctx.Done():
			return
		case <-logged:
		}
	}
}

// ErrRewritten reports a log that does not continue what was signed before.
var ErrRewritten = errors.New("the log in the store is not a continuation of its last checkpoint")

// Checkpoint signs the log as it is, unless the last checkpoint covers all of
// it. A log that contradicts its last checkpoint is never signed.
func (k *Keeper) Checkpoint(ctx context.Context) (manager.Checkpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last, err := k.store.LastCheckpoint(ctx) // before the size: another Manager may make one
	first := errors.Is(err, manager.ErrNotFound)
	if err != nil && !first {
		return last, err
	}
	size, err := k.store.LogSize(ctx)
	if err != nil {
		return last, err
	}
	t := newTree(ctx, k.store)
	root, err := t.root(size)
	if err != nil {
		return last, err
	}
	if !first {
		if err := k.continues(t, last, State{size, root}); err != nil || last.Size == size {
			return last, err
		}
	}
	c := manager.Checkpoint{Size: size, Time: k.opt.Now().UTC().Truncate(time.Millisecond)}
	if c.Note, err = k.key.Sign(State{size, root}); err != nil {
		return c, err
	}
	return c, k.store.SaveCheckpoint(ctx, c, t.nodes())
}

// continues fails unless the tree of now has that of last as its beginning.
func (k *Keeper) continues(t *tree, last manager.Checkpoint, now State) error {
	was, err := Open(last.Note, k.pub)
	if err != nil {
		return fmt.Errorf("last checkpoint, of %d entries: %w", last.Size, err)
	}
	if was.Size > now.Size {
		return fmt.Errorf("%w: it has %d entries, of %d that were signed", ErrRewritten, now.Size, was.Size)
	}
	root, err := t.root(was.Size)
	if err != nil {
		return err
	}
	if root != was.Root {
		return ErrRewritten
	}
	return nil
}

// ProveEntry proves that the entry at a position is in the log's first size
// entries; RFC 6962 section 2.1.1.
func (k *Keeper) ProveEntry(ctx context.Context, size, position uint64) ([]tlog.Hash, error) {
	if err := k.within(ctx, size); err != nil {
		return nil, err
	}
	if position >= size {
		return nil, &manager.FieldError{Field: "position", Why: fmt.Sprintf("is not below size %d", size)}
	}
	p, err := tlog.ProveRecord(int64(size), int64(position), newTree(ctx, k.store))
	return p, err
}

// ProveGrowth proves that the log's first old entries are the beginning of its
// first size entries; RFC 6962 section 2.1.2.
func (k *Keeper) ProveGrowth(ctx context.Context, size, old uint64) ([]tlog.Hash, error) {
	if err := k.within(ctx, size); err != nil {
		return nil, err
	}
	if old == 0 || old > size {
		return nil, &manager.FieldError{Field: "old", Why: fmt.Sprintf("must be 1 to %d", size)}
	}
	p, err := tlog.ProveTree(int64(size), int64(old), newTree(ctx, k.store))
	return p, err
}

func (k *Keeper) within(ctx context.Context, size uint64) error {
	have, err := k.store.LogSize(ctx)
	if err == nil && (size == 0 || size > have) {
		err = &manager.FieldError{Field: "size", Why: fmt.Sprintf("must be 1 to %d, the size of the log", have)}
	}
	return err
}

// Root is the root hash of the log's first size entries.
func (k *Keeper) Root(ctx context.Context, size uint64) (tlog.Hash, error) {
	if err := k.within(ctx, size); err != nil {
		return tlog.Hash{}, err
	}
	return newTree(ctx, k.store).root(size)
}
