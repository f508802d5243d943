package snapshot

import (
	"errors"
	"strconv"
)

// Targets finds targets as a [View] does.
type Targets struct {
	ids   map[string]*Target
	match matcher
}

// NewTargets indexes well-formed targets, whose matches must all differ.
func NewTargets(list []*Target) (*Targets, error) {
	t := &Targets{ids: make(map[string]*Target, len(list))}
	taken := make(map[Match]struct{}, len(list))
	for _, target := range list {
		t.ids[target.ID] = target
		for _, m := range target.Match {
			m = m.canonical()
			if _, dup := taken[m]; dup {
				return nil, errors.New("two targets have the same match, one of them " + strconv.Quote(target.ID))
			}
			taken[m] = struct{}{}
		}
	}
	t.match = newMatcher(t.ids)
	return t, nil
}

// Find is [View.Target].
func (t *Targets) Find(route, host, path string) (*Target, bool) {
	return t.match.find(route, host, path)
}

// ByRoute is [View.ByRoute].
func (t *Targets) ByRoute() bool { return t.match.routes }

// ByID returns the target of this ID.
func (t *Targets) ByID(id string) (*Target, bool) {
	target, ok := t.ids[id]
	return target, ok
}
