package mcp

import "slices"

// A Revision is a protocol revision. Revisions order as their dates do.
type Revision string

// The revisions that are read.
const (
	R20250618 Revision = "2025-06-18"
	R20251125 Revision = "2025-11-25"
	R20260728 Revision = "2026-07-28"
)

// revisions are all that are read, newest first, as clients are told of them.
var revisions = [...]Revision{R20260728, R20251125, R20250618}

// Known reports whether r is read at all.
func Known(r Revision) bool { return slices.Contains(revisions[:], r) }

// Stateless reports whether r has per-request metadata in place of a session:
// no initialize, no GET, no DELETE, and headers that repeat the body.
func (r Revision) Stateless() bool { return r >= R20260728 }

// Settings are what a target allows. The zero value accepts every revision that
// is read and no web origin.
type Settings struct {
	Revisions []string // accepted revisions; empty: all that are read
	Origins   []string // accepted Origin values, byte for byte
}

// accepts reports whether the target takes r. A revision that isn't read is
// never accepted, whatever the settings say.
func (s Settings) accepts(r Revision) bool {
	return Known(r) && (len(s.Revisions) == 0 || slices.Contains(s.Revisions, string(r)))
}

// supported lists what the target takes, newest first.
func (s Settings) supported() []Revision {
	list := make([]Revision, 0, len(revisions))
	for _, r := range revisions {
		if s.accepts(r) {
			list = append(list, r)
		}
	}
	return list
}

// sessions reports whether the target takes any revision with sessions.
func (s Settings) sessions() bool {
	return s.accepts(R20250618) || s.accepts(R20251125)
}

// negotiated is the revision that an initialize proposing p is decided under:
// the newest accepted one that is no newer than p. It is false when p is no date
// or older than all of them; a proposal newer than all is fine, as the server
// answers with one that it knows (Lifecycle, version negotiation).
func (s Settings) negotiated(p string) (Revision, bool) {
	if !date(p) {
		return "", false
	}
	for _, r := range revisions {
		if !r.Stateless() && r <= Revision(p) && s.accepts(r) {
			return r, true
		}
	}
	return "", false
}

// date reports whether s has the form of a revision, YYYY-MM-DD.
func date(s string) bool {
	if len(s) != len("2006-01-02") {
		return false
	}
	for i := range len(s) {
		if digit := s[i] >= '0' && s[i] <= '9'; digit == (i == 4 || i == 7) {
			return false
		}
	}
	return s[4] == '-' && s[7] == '-'
}
