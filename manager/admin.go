package manager

import (
	"io"
	"strings"
	"time"

	"keyward/plugins/token"
)

// A Role is what an admin token may do. Each role may do all that the one before
// it may.
type Role string

// The roles.
const (
	Auditor  Role = "auditor"  // reads everything; there is no secret to read
	Operator Role = "operator" // and handles consumers, their tokens and grants
	Admin    Role = "admin"    // and targets, credentials, policies, gateways, admin tokens
)

var ranks = map[Role]int{Auditor: 1, Operator: 2, Admin: 3}

// Includes reports whether r may do all that other may. An unknown role
// includes none and is included in none.
func (r Role) Includes(other Role) bool {
	return ranks[other] > 0 && ranks[r] >= ranks[other]
}

// An Actor is who makes a change.
type Actor struct {
	ID   string `json:"id" doc:"Id of the admin token, or a name for the Manager's own doing"`
	Name string `json:"name" doc:"Name of the admin token"`
	Role Role   `json:"role" enum:"auditor,operator,admin" doc:"Role it acted in"`
}

// Self is the actor of what the Manager does on its own account.
var Self = Actor{ID: "manager", Name: "manager", Role: Admin}

// An AdminToken lets its holder call the API. Only its SHA-256 is kept.
type AdminToken struct {
	Meta
	Name    string    `json:"name" doc:"Who holds it"`
	Role    Role      `json:"role" enum:"auditor,operator,admin" doc:"What it may do"`
	Expires time.Time `json:"expires,omitzero" doc:"When it ends; absent: never"`
}

// An AdminTokenSpec is what is chosen of an admin token.
type AdminTokenSpec struct {
	Name    string    `json:"name" minLength:"1" maxLength:"100" doc:"Who holds it"`
	Role    Role      `json:"role" enum:"auditor,operator,admin" doc:"What it may do"`
	Expires time.Time `json:"expires,omitzero" doc:"When it ends; absent: never"`
}

// Validate checks what the schema can't say.
func (s AdminTokenSpec) Validate(now time.Time) error {
	if err := validText("name", s.Name, 1, 100); err != nil {
		return err
	}
	if ranks[s.Role] == 0 {
		return invalid("role", "%q is not a role", s.Role)
	}
	return validExpiry(s.Expires, now)
}

// Prefixes of the tokens that the Manager issues besides consumer tokens.
const (
	AdminPrefix   = "kwa_" // admin tokens
	GatewayPrefix = "kwg_" // gateway tokens
)

// NewSecret returns a token under one of the prefixes above. It has the form of
// a consumer token but for the prefix, and so never passes for one.
func NewSecret(prefix string, random io.Reader) (string, error) {
	s, err := token.New(random)
	if err != nil {
		return "", err
	}
	return prefix + strings.TrimPrefix(s, token.Prefix), nil
}

// ValidSecret reports whether s can have come from [NewSecret].
func ValidSecret(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && token.Valid(token.Prefix+rest)
}

// Bearer returns the bearer token (RFC 6750) of the Authorization headers of a
// request, of which there must be one; empty: there is none.
func Bearer(authorization []string) string {
	if len(authorization) != 1 {
		return ""
	}
	scheme, secret, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return secret
}
