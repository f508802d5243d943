package policies

import "errors"

// A Verdict is the outcome of a decision. The zero value denies.
type Verdict uint8

// The verdicts.
const (
	Deny  Verdict = iota // refused
	Ask                  // refused until a human approves
	Allow                // may go on
)

func (v Verdict) String() string {
	switch v {
	case Allow:
		return "allow"
	case Ask:
		return "ask"
	default:
		return "deny"
	}
}

// MarshalText returns allow, deny or ask.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText takes allow, deny or ask.
func (v *Verdict) UnmarshalText(b []byte) error {
	for _, known := range []Verdict{Deny, Ask, Allow} {
		if string(b) == known.String() {
			*v = known
			return nil
		}
	}
	return errors.New("not a verdict")
}

// A Decision is what became of one request. The zero value denies.
type Decision struct {
	ID         string   // ULID, unique per decision
	Verdict    Verdict  // allow, deny or ask
	Reason     Reason   // why, as the client hears it
	Details    []string // the policy's own deny reasons; for the record, never for the client
	Rules      []string // deciding rules as file:row; empty when no rule decided
	Policy     string   // version of the policy that decided; empty when none did
	Generation uint64   // snapshot generation that decided
}
