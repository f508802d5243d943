// Package livetest is a Manager that lives in a test: it answers the polls that
// a plugin makes of its host.
package livetest

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"keyward/plugins/changes"
	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
)

// Token is the gateway token of every test.
const Token = "kwg_test"

// A Manager signs whatever it is told to answer with.
type Manager struct {
	Public  ed25519.PublicKey
	private ed25519.PrivateKey
}

// New returns a Manager with a key of its own.
func New(t testing.TB) *Manager {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Manager{public, private}
}

// Config is the configuration of a plugin that follows m, with a snapshot unless
// that is nil, and max_stale in seconds.
func (m *Manager) Config(s *snapshot.Snapshot, maxStale int) []byte {
	c := fmt.Sprintf(`{"manager":{"cluster":"manager","authority":"manager.internal","key":%q,"max_stale":%d}`,
		changes.FormatPublicKey(m.Public), maxStale)
	if s != nil {
		c += `,"snapshot":` + string(snapshot.Encode(s))
	}
	return []byte(c + "}")
}

// Request reads the question of a poll.
func Request(t testing.TB, c *filtertest.Call) changes.Request {
	t.Helper()
	var path, nonce string
	for _, h := range c.Headers {
		switch h[0] {
		case ":path":
			path = h[1]
		case changes.NonceHeader:
			nonce = h[1]
		}
	}
	_, query, _ := strings.Cut(path, "?")
	r, err := changes.ParseRequest(query, nonce)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

// Answer is the signed answer to a question.
func (m *Manager) Answer(r changes.Request, a changes.Answer) filter.Answer {
	out := filter.Answer{Status: a.Status, Body: a.Body, Headers: [][2]string{{changes.SignatureHeader, changes.Sign(m.private, r, a)}}}
	if a.Cursor != "" {
		out.Headers = append(out.Headers, [2]string{changes.CursorHeader, a.Cursor})
	}
	if a.Consistent {
		out.Headers = append(out.Headers, [2]string{changes.ConsistentHeader, "true"})
	}
	return out
}

// Page is the answer with a page.
func Page(s *snapshot.Snapshot, cursor string, consistent bool) changes.Answer {
	return changes.Answer{Status: 200, Cursor: cursor, Consistent: consistent, Body: snapshot.Encode(s)}
}

// Publish answers the one poll of a VM with all of s.
func (m *Manager) Publish(t testing.TB, h *filtertest.LiveHost, s *snapshot.Snapshot) {
	t.Helper()
	if len(h.Calls) != 1 {
		t.Fatalf("%d polls are open, want 1", len(h.Calls))
	}
	h.Answer(m.Answer(Request(t, h.Calls[0]), Page(s, "", true)))
}
