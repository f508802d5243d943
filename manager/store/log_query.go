package store

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"keyward/manager"
)

// A LogFilter narrows a list of entries. The zero value takes all.
type LogFilter struct {
	Kind     manager.EntryKind
	ID       string // decision, or API request
	Consumer string
	Target   string
	Name     string // tool, prompt, resource, path
	Verdict  string
	Reason   string
	Rule     string // one of the deciding rules, as file:row
	Since    time.Time
	Until    time.Time // not at or after
}

// likeEscaper makes text match itself alone in LIKE.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// logPage says where a page of the log begins, and how long it may be. The After
// of a page is the position of the last entry seen.
func logPage(p manager.Page) (from uint64, limit int, err error) {
	if p.After != "" {
		n, err := strconv.ParseUint(p.After, 10, 62)
		if err != nil {
			return 0, 0, &manager.FieldError{Field: "after", Why: "is not from an earlier page"}
		}
		from = n + 1
	}
	return from, pageLimit(p), nil
}

// QueryLog returns a page of entries, oldest first. The page's After is the
// position of the last entry seen.
func (r reader) QueryLog(ctx context.Context, f LogFilter, p manager.Page) (manager.List[manager.LogEntry], error) {
	l := manager.List[manager.LogEntry]{Items: []manager.LogEntry{}}
	from, limit, err := logPage(p)
	if err != nil {
		return l, err
	}
	since, until := int64(0), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixMilli()
	}
	rule := ""
	if f.Rule != "" {
		rule = "%\n" + likeEscaper.Replace(f.Rule) + "\n%"
	}
	entries, err := r.logEntries(ctx, `position >= $1 AND time >= $2 AND time < $3
		AND ($4 = '' OR kind = $4) AND ($5 = '' OR id = $5) AND ($6 = '' OR consumer = $6) AND ($7 = '' OR target = $7)
		AND ($8 = '' OR name = $8) AND ($9 = '' OR verdict = $9) AND ($10 = '' OR reason = $10)
		AND ($11 = '' OR '
' || rules || '
' LIKE $11 ESCAPE '\')
		ORDER BY position LIMIT $12`,
		from, since, until, string(f.Kind), searchable(f.ID), searchable(f.Consumer), searchable(f.Target),
		searchable(f.Name), f.Verdict, f.Reason, searchable(rule), limit+1)
	if err != nil {
		return l, err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		l.After = strconv.FormatUint(entries[limit-1].Position, 10)
	}
	l.Items = append(l.Items, entries...)
	return l, nil
}
