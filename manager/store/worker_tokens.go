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
