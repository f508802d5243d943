package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// A when is the value of a flag that takes an end: a time, or how long from now.
type when struct{ time.Time }

func whenFlag(cmd *cobra.Command, w *when, name, usage, absent string) {
	cmd.Flags().Var(w, name, usage+", such as 8h, 30d or 2027-01-31T12:00:00Z; absent: "+absent)
}

func (w *when) String() string { return timeCell(w.Time) }

// Type names the value in help.
func (w *when) Type() string { return "when" }

// Set reads a time in RFC 3339, or a duration from now.
func (w *when) Set(s string) error {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		w.Time = t
		return nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return err
	}
	w.Time = time.Now().Add(d)
	return nil
}

// A span is the value of a flag that takes a duration, in which days count too.
type span struct{ time.Duration }

// Type names the value in help.
func (d *span) Type() string { return "duration" }

// Set reads a duration.
func (d *span) Set(s string) (err error) {
	d.Duration, err = parseDuration(s)
	return err
}

// seconds are whole ones, rounded up so that nothing ends before its time.
func (d *span) seconds() int64 { return int64((d.Duration + time.Second - 1) / time.Second) }

// parseDuration reads a duration of zero or more as Go writes it, or in days.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, e := strconv.ParseUint(days, 10, 16)
		d, err = time.Duration(n)*24*time.Hour, e
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is neither a duration such as 8h or 30d nor a time such as 2027-01-31T12:00:00Z", s)
	}
	return d, nil
}
