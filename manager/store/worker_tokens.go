package store

import (
	"context"
	"time"

	"keyward/manager"
)

// revokeTokens ends a consumer's live tokens, but for one and for those that end
// by themselves within their overlap.
func (t *Tx) revokeTokens(ctx context.Context, consumer, but string) error {
	return t.eachLive(ctx, consumer, func(row tokenRow) error {
		if row.ID == but || but != "" && !row.Expires.IsZero() {
			return nil
		}
		_, err := t.RevokeToken(ctx, row.ID, 0)
		return err
	})
}

// endTokens has a consumer's live tokens end at an instant, if they would not
// before.
func (t *Tx) endTokens(ctx context.Context, consumer string, at time.Time) error {
	end := cut(at)
	return t.eachLive(ctx, consumer, func(row tokenRow) error {
		if !row.Expires.IsZero() && !end.Before(row.Expires) {
			return nil
		}
		if !end.After(t.at) {
			_, err := t.RevokeToken(ctx, row.ID, 0)
			return err
		}
		before, after, err := tokens.edit(ctx, t, row.ID, 0, func(row *tokenRow) error {
			row.Expires = end
			return nil
		})
		if err != nil {
			return err
		}
		if err := t.touch(ctx, entryConsumer, consumer, false); err != nil {
			return err
		}
		return t.record(ctx, manager.KindToken, "end", row.ID, before.Token, after.Token)
	})
}

func (t *Tx) eachLive(ctx context.Context, consumer string, fn func(tokenRow) error) error {
	l, err := tokens.query(ctx, t.q, "SELECT "+tokens.all()+" FROM tokens x WHERE x.consumer = $1 AND NOT x.revoked ORDER BY x.id", consumer)
	if err != nil {
		return err
	}
	for _, row := range l {
		if !row.Live(t.at) {
			continue
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

// restartLead is how long before its token's end a Worker is restarted, so that
// it never has a dead one.
const restartLead = 30 * time.Second

// RotateWorker has a Worker get a new token: at once where it takes it from a
// file, else with a restart shortly before the overlap ends. The old one ends with
// the overlap in any case.
func (t *Tx) RotateWorker(ctx context.Context, id string, version uint64, r manager.WorkerRotation) (manager.Worker, error) {
	if err := r.Validate(); err != nil {
		return manager.Worker{}, err
	}
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	overlap := time.Duration(r.OverlapSeconds) * time.Second
	if err := t.endTokens(ctx, w.Consumer, t.at.Add(overlap)); err != nil {
		return w, err
	}
	return t.editWorker(ctx, id, version, "rotate", func(w *manager.Worker) error {
		switch {
		case w.WithDefaults().Token == manager.ByFile && w.Has(manager.DoneContainer):
			again(w, manager.TaskRotate, manager.DoneToken)
		case overlap > 0:
			w.RestartAt = t.at.Add(overlap - min(restartLead, overlap/2))
		default:
			again(w, manager.TaskRotate, manager.DoneToken, manager.DoneContainer)
		}
		return nil
	})
}
