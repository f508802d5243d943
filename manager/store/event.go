package store

import (
	"context"
	"fmt"
	"strconv"

	"keyward/manager"
)

// An EventFilter narrows a list of audit events. The zero value takes all.
type EventFilter struct {
	Kind   manager.Kind // empty: of all kinds
	Object string       // empty: of all objects
	Actor  string       // id; empty: by everybody
}

// Events returns a page of the actions in the log, oldest first. The page's
// After is the position of the last event seen.
func (r reader) Events(ctx context.Context, f EventFilter, p manager.Page) (manager.List[manager.Event], error) {
	l := manager.List[manager.Event]{Items: []manager.Event{}}
	from, limit, err := logPage(p)
	if err != nil {
		return l, err
	}
	entries, err := r.logEntries(ctx, `noun <> '' AND position >= $1
		AND ($2 = '' OR noun = $2) AND ($3 = '' OR object = $3) AND ($4 = '' OR actor = $4)
		ORDER BY position LIMIT $5`, from, string(f.Kind), f.Object, f.Actor, limit+1)
	if err != nil {
		return l, err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		l.After = strconv.FormatUint(entries[limit-1].Position, 10)
	}
	for _, e := range entries {
		if e.Event == nil {
			return l, fmt.Errorf("store: entry %d of the log is %s", e.Position, e.Kind)
		}
		l.Items = append(l.Items, *e.Event)
	}
	return l, nil
}
