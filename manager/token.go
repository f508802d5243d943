package manager

import (
	"time"
)

// MaxOverlap bounds how long an old token or credential lives on beside its
// successor.
const MaxOverlap = 90 * 24 * time.Hour

// A Token is a consumer token as far as the Manager knows it: not its text.
type Token struct {
	Meta
	Consumer   string    `json:"consumer" doc:"Whose it is"`
	Note       string    `json:"note,omitempty" doc:"Free text"`
	Expires    time.Time `json:"expires,omitzero" doc:"When it ends; absent: never"`
	Revoked    bool      `json:"revoked" doc:"Ended before its time"`
	ReplacedBy string    `json:"replaced_by,omitempty" doc:"Id of the token that it was rotated to"`
	LastUsed   time.Time `json:"last_used,omitzero" doc:"Last time that a gateway saw it; absent: never"`
}

// Live reports whether t opens anything at now.
func (t Token) Live(now time.Time) bool {
	return !t.Revoked && (t.Expires.IsZero() || now.Before(t.Expires))
}

// A TokenSpec is what is chosen of a new token.
type TokenSpec struct {
	Consumer string    `json:"consumer" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Whose it will be"`
	Note     string    `json:"note,omitempty" maxLength:"200" doc:"Free text"`
	Expires  time.Time `json:"expires,omitzero" doc:"When it ends; absent: never"`
}

// Validate checks s.
func (s TokenSpec) Validate(now time.Time) error {
	if !ValidID(s.Consumer) {
		return invalid("consumer", "must match %s", IDPattern)
	}
	if err := validText("note", s.Note, 0, 200); err != nil {
		return err
	}
	return validExpiry(s.Expires, now)
}

// A TokenRotation says how a token gives way to its successor.
type TokenRotation struct {
	OverlapSeconds int64     `json:"overlap_seconds,omitzero" minimum:"0" maximum:"7776000" doc:"How long the old token lives on; 0: it ends at once"`
	Expires        time.Time `json:"expires,omitzero" doc:"When the new token ends; absent: after as long a time as the old one was issued for"`
}

// Validate checks r.
func (r TokenRotation) Validate(now time.Time) error {
	if err := validOverlap(r.OverlapSeconds); err != nil {
		return err
	}
	return validExpiry(r.Expires, now)
}

// An Issued is a secret on its only way out. It prints without the secret.
type Issued[T any] struct {
	Object T
	Secret string
}

// String hides the secret.
func (i Issued[T]) String() string { return "issued, REDACTED" }

// GoString hides the secret.
func (i Issued[T]) GoString() string { return i.String() }
