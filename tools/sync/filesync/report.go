package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Exit codes; those of the keyward command where it has them.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitDenied   = 3
	exitConflict = 5
)

// progressEvery is how often long work says how far it is.
const progressEvery = 3 * time.Second

// A report tells the user what is done, and remembers what was not.
type report struct {
	out, err          io.Writer
	quiet             bool
	left              map[string]bool // names that something was wrong with
	done              int
	failures, denials int
	conflicts         int
}

func newReport(out, err io.Writer, quiet bool) *report {
	return &report{out: out, err: err, quiet: quiet, left: map[string]bool{}}
}

func (r *report) did(d deed, name string) {
	r.done++
	if !r.quiet {
		fmt.Fprintf(r.out, "%-13s  %s\n", d, printable(name))
	}
}

// conflict says where what lost is kept. It is said even when all else is not.
func (r *report) conflict(name, beside string) {
	r.done++
	r.conflicts++
	fmt.Fprintf(r.out, "%-13s  %s: both sides had changed it; what was here is kept as %s\n", conflict, printable(name), printable(beside))
}

func (r *report) failed(name, what string, err error) {
	r.left[name] = true
	if errors.Is(err, errDenied) {
		r.denials++
	} else {
		r.failures++
	}
	fmt.Fprintf(r.err, "%s: %s: %v\n", printable(name), what, err)
}

// has reports whether something was wrong with a name, or a folder that it is in.
func (r *report) has(name string) bool {
	for i := range len(name) + 1 {
		if (i == len(name) || name[i] == '/') && r.left[name[:i]] {
			return true
		}
	}
	return false
}

func (r *report) hasFailed() bool { return r.failures+r.denials > 0 }

// say tells what goes on.
func (r *report) say(format string, args ...any) { fmt.Fprintf(r.err, format+"\n", args...) }

// exit is the code that says the worst of what happened.
func (r *report) exit(err error) int {
	if err != nil {
		fmt.Fprintf(r.err, "keyward-sync: %v\n", err)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitFailed
	case errors.Is(err, errDenied):
		return exitDenied
	case err != nil || r.failures > 0:
		return exitFailed
	case r.denials > 0:
		return exitDenied
	case r.conflicts > 0:
		return exitConflict
	default:
		return exitOK
	}
}

// progress returns what is told how many bytes of a file are done.
func (r *run) progress(what, name string, size int64) func(int64) {
	last := time.Now()
	return func(at int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery && size > 0 {
			last = now
			r.report.say("%s %s: %d %% of %s", what, printable(name), at*100/size, bytesText(size))
		}
	}
}

func bytesText(n int64) string {
	const unit = 1 << 10
	if n < unit {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= unit && i < len(names)-1; i++ {
		v /= unit
	}
	return fmt.Sprintf("%.1f %s", v, names[i])
}

// printable is s without what would move the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func lastRune(s string) (rune, int) { return utf8.DecodeLastRuneInString(s) }

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
