package store

import (
	"context"
	"fmt"

	"keyward/manager"
)

// An EventFilter narrows a list of audit events. The zero value takes all.
type EventFilter struct {
	Kind   manager.Kind // empty: of all kinds
	Object string       // empty: of all objects
	Actor  string       // id; empty: by everybody
}

// Events returns a page of audit events, oldest first. The page's After is
// GENERATION.PART of the last event seen.
func (r reader) Events(ctx context.Context, f EventFilter, p manager.Page) (manager.List[manager.Event], error) {
	l := manager.List[manager.Event]{Items: []manager.Event{}}
	var gen, part int64
	if p.After != "" {
		if n, err := fmt.Sscanf(p.After, "%d.%d", &gen, &part); n != 2 || err != nil || gen < 0 || part < 0 {
			return l, &manager.FieldError{Field: "after", Why: "is not from an earlier page"}
		}
	} else {
		part = -1
	}
	limit := p.Limit
	if limit <= 0 {
		limit = manager.DefaultPage
	}
	limit = min(limit, manager.MaxPage)
	rows, err := r.q.QueryContext(ctx, `SELECT generation, part, time, actor, actor_name, role, action, kind, object, before, after, request
		FROM events WHERE (generation > $1 OR generation = $1 AND part > $2)
		AND ($3 = '' OR kind = $3) AND ($4 = '' OR object = $4) AND ($5 = '' OR actor = $5)
		ORDER BY generation, part LIMIT $6`, gen, part, string(f.Kind), f.Object, f.Actor, limit+1)
	if err != nil {
		return l, err
	}
	defer rows.Close()
	for rows.Next() {
		var e manager.Event
		err := rows.Scan(&e.Generation, &e.Part, milli{&e.Time}, &e.Actor.ID, &e.Actor.Name, &e.Actor.Role,
			&e.Action, &e.Kind, &e.Object, &e.Before, &e.After, &e.Request)
		if err != nil {
			return l, err
		}
		l.Items = append(l.Items, e)
	}
	if len(l.Items) > limit {
		l.Items = l.Items[:limit]
		last := l.Items[limit-1]
		l.After = fmt.Sprintf("%d.%d", last.Generation, last.Part)
	}
	return l, rows.Err()
}
