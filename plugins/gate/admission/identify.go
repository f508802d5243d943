package admission

import (
	"encoding/base64"
	"strings"

	"keyward/plugins/live"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/policies"
)

// authorization reads the value of an Authorization header: a bearer token, or
// the password of Basic, which is how git sends one (RFC 6750, RFC 7617).
func authorization(value string) credential {
	scheme, rest, _ := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return credential{rest, true}
	case strings.EqualFold(scheme, "basic"):
		b, err := base64.StdEncoding.DecodeString(rest)
		_, password, ok := strings.Cut(string(b), ":")
		return credential{password, err == nil && ok}
	default:
		return credential{}
	}
}

// consumerToken is the one consumer token of a request. A request may repeat
// it in several headers, as LLM clients do, but never carry a second credential.
func consumerToken(credentials []credential) (string, policies.Reason) {
	if len(credentials) == 0 {
		return "", policies.TokenMissing
	}
	first := credentials[0]
	for _, c := range credentials[1:] {
		if c != first {
			return "", policies.TokenAmbiguous
		}
	}
	switch {
	case first.usable && first.value == "":
		return "", policies.TokenMissing
	case !first.usable || token.Check(first.value) != nil:
		return "", policies.TokenMalformed
	}
	return first.value, policies.ReasonNone
}

// identify finds the consumer that a token belongs to. The look-up is by
// digest, so its time tells nothing of a token that is kept.
func identify(v live.Entries, tok string, now int64) (*snapshot.Consumer, policies.Reason) {
	c, t, ok := v.Consumer(token.Digest(tok))
	switch {
	case !ok:
		return nil, policies.TokenUnknown
	case c.State == snapshot.Revoked, t.Revoked:
		return nil, policies.TokenRevoked
	case c.State != snapshot.Active:
		return nil, policies.ConsumerPaused
	case t.Expires != 0 && seconds(now) >= t.Expires:
		return nil, policies.TokenExpired
	}
	return c, policies.ReasonNone
}

// seconds turns the host's Unix nanoseconds into Unix seconds.
func seconds(now int64) int64 { return now / 1e9 }
