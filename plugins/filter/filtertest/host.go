// Package filtertest runs a [filter.Plugin] without a gateway: a host, a stream
// that records what is done to it, and an exchange that holds and releases
// headers, bodies and trailers as Envoy does.
package filtertest

import (
	"strings"

	"keyward/plugins/filter"
)

// A Host is an in-memory [filter.Host]. Its zero value works.
type Host struct {
	Time  int64             // what Now returns, Unix nanoseconds
	Env   map[string]string // what Getenv reads
	Lines []Line            // what was logged, oldest first
}

// A Line is one line of a log.
type Line struct {
	Level filter.Level
	Text  string
}

var _ filter.Host = (*Host)(nil)

// Log keeps the line in Lines.
func (h *Host) Log(level filter.Level, line string) { h.Lines = append(h.Lines, Line{level, line}) }

// Now returns Time.
func (h *Host) Now() int64 { return h.Time }

// Getenv reads Env.
func (h *Host) Getenv(name string) string { return h.Env[name] }

// Logged is all that was logged, one line after the other, for a search for
// secrets.
func (h *Host) Logged() string {
	var b strings.Builder
	for _, l := range h.Lines {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}
