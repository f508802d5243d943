package manager

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keyward/plugins/snapshot"
)

const (
	maxLabelKey   = 63
	maxLabelValue = 256
)

func validLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return invalid("labels", "has more than %d entries", MaxLabels)
	}
	for k, v := range labels {
		field := fmt.Sprintf("labels[%q]", k)
		if err := validText(field, k, 1, maxLabelKey); err != nil {
			return err
		}
		if err := validText(field, v, 0, maxLabelValue); err != nil {
			return err
		}
	}
	return nil
}

// validText checks that s is one line of printable text: it will be shown in
// logs, rooms and terminals, where a control or direction character misleads.
func validText(field, s string, minRunes, maxRunes int) error {
	if !utf8.ValidString(s) {
		return invalid(field, "is not UTF-8")
	}
	if n := utf8.RuneCountInString(s); n < minRunes || n > maxRunes {
		return invalid(field, "must have %d to %d characters", minRunes, maxRunes)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) { // of white space only U+0020 is
			return invalid(field, "holds the unprintable character %U", r)
		}
	}
	return nil
}

// notEmpty refuses a list that is there and empty: does it mean nothing, or no
// restriction?
func notEmpty(field string, u snapshot.Upstream) error {
	if u.Clusters != nil && len(u.Clusters) == 0 {
		return invalid(field+".clusters", "must not be empty; leave it out for no restriction")
	}
	if u.Hosts != nil && len(u.Hosts) == 0 {
		return invalid(field+".hosts", "must not be empty; leave it out for no restriction")
	}
	return nil
}

// fieldError names the field that a JSON pointer below prefix points to.
func fieldError(prefix string, err error) error {
	var e *snapshot.Error
	if !errors.As(err, &e) {
		return err
	}
	field := strings.TrimPrefix(e.Pointer, prefix)
	return &FieldError{Field: strings.ReplaceAll(strings.TrimPrefix(field, "/"), "/", "."), Why: e.Problem}
}

// maxExpiry is the last expiry that RFC 3339 can write.
var maxExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// validExpiry refuses an end that has passed: a past instant could otherwise
// become the 0 that stands for "never" on the wire.
func validExpiry(t, now time.Time) error {
	if t.IsZero() {
		return nil
	}
	if !t.After(now.Add(time.Second)) {
		return invalid("expires", "has passed")
	}
	if t.After(maxExpiry) {
		return invalid("expires", "is after the year 9999")
	}
	return nil
}

func validOverlap(seconds int64) error {
	if seconds < 0 || seconds > int64(MaxOverlap/time.Second) {
		return invalid("overlap_seconds", "must be 0 to %d", int64(MaxOverlap/time.Second))
	}
	return nil
}
