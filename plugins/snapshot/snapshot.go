package snapshot

import "keyward/policies"

// Format names the wire form; a reader refuses any other.
const Format = "keyward.snapshot/1"

// A Snapshot is the wire form of a whole state, or of a change to one.
//
// With Since zero it is whole. Otherwise it is a delta: it holds only what
// changed between generations Since and Generation of the same Epoch, and
// Removed names what went.
type Snapshot struct {
	Format      string       `json:"format"`
	Epoch       string       `json:"epoch"`           // changes when generations start anew
	Generation  uint64       `json:"generation"`      // grows by one with every change
	Since       uint64       `json:"since,omitempty"` // 0: whole
	Policy      *Policy      `json:"policy,omitempty"`
	Targets     []Target     `json:"targets,omitempty"`
	Consumers   []Consumer   `json:"consumers,omitempty"`
	Credentials []Credential `json:"credentials,omitempty"`
	Removed     *Removed     `json:"removed,omitempty"` // only in a delta
}

// Removed names entries that a delta takes away.
type Removed struct {
	Targets     []string `json:"targets,omitempty"`
	Consumers   []string `json:"consumers,omitempty"`
	Credentials []string `json:"credentials,omitempty"`
}

// A Policy is the one live policy in compiled form.
type Policy struct {
	Version string `json:"version"` // shown in decisions and records
	Program []byte `json:"program"` // policies/engine Program; base64 in JSON
}

// A Target is something behind the gateway.
type Target struct {
	ID       string            `json:"id"`
	Kind     policies.Kind     `json:"kind"`
	Labels   map[string]string `json:"labels,omitempty"`
	Match    []Match           `json:"match"`             // any one of them; at least one
	Upstream Upstream          `json:"upstream,omitzero"` // where its credential may go
	// Credential is the ID of the credential of every consumer that has none of
	// its own for this target. Empty: nothing is injected.
	Credential string  `json:"credential,omitempty"`
	Inject     *Inject `json:"inject,omitempty"` // nil: nothing is injected
	MCP        *MCP    `json:"mcp,omitempty"`    // nil for kind mcp: defaults
}

// A Match is a way to reach a target. All fields that are set must hold, and at
// least one must be set. A match with a route beats one without; then the longer
// path wins; then a match with a host beats one without. Two equal matches are
// refused at load.
type Match struct {
	Route string `json:"route,omitempty"` // the gateway's route name
	Host  string `json:"host,omitempty"`  // lower case, without port
	Path  string `json:"path,omitempty"`  // prefix, by whole segments
}

// Upstream binds a credential to where it may be sent. An empty list does not
// restrict.
type Upstream struct {
	Clusters []string `json:"clusters,omitempty"` // the gateway's cluster names
	Hosts    []string `json:"hosts,omitempty"`    // request authority, lower case, without port
}

// Form says how a credential enters a request.
type Form string

// The forms.
const (
	Bearer Form = "bearer" // Authorization: Bearer KEY
	Header Form = "header" // NAME: PREFIX KEY
	Query  Form = "query"  // ?NAME=KEY
	Basic  Form = "basic"  // Authorization: Basic base64(USERNAME:KEY)
)

// Inject says where a target takes its credential.
type Inject struct {
	Form     Form   `json:"form"`
	Name     string `json:"name,omitempty"`     // header or query parameter, for header and query
	Prefix   string `json:"prefix,omitempty"`   // for header: goes before the key, with its own space
	Username string `json:"username,omitempty"` // for basic
}

// MCP are the settings of an MCP target.
type MCP struct {
	Revisions []string `json:"revisions,omitempty"` // accepted protocol revisions; empty: all that Keyward reads
	Origins   []string `json:"origins,omitempty"`   // accepted Origin values; empty: none but an absent one
}

// State says whether a consumer may do anything at all.
type State string

// The states of a consumer.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Revoked   State = "revoked"
)

// A Consumer is an identity with its tokens and grants.
type Consumer struct {
	ID     string            `json:"id"`
	Kind   string            `json:"kind"` // worker, human or service
	Labels map[string]string `json:"labels,omitempty"`
	State  State             `json:"state"`
	Tokens []Token           `json:"tokens,omitempty"`
	Grants []Grant           `json:"grants,omitempty"`
	// Credentials overrides a target's credential for this consumer: target ID
	// to credential ID.
	Credentials map[string]string `json:"credentials,omitempty"`
}

// A Token is one consumer token, known by its digest alone.
type Token struct {
	ID      string `json:"id"`
	SHA256  string `json:"sha256"`            // 64 lower-case hex digits
	Expires int64  `json:"expires,omitempty"` // Unix seconds; 0: never
	Revoked bool   `json:"revoked,omitempty"`
}

// A Grant is a policies.Grant together with the target it is for.
type Grant struct {
	Target string `json:"target"`
	policies.Grant
}

// A Credential is the real key of a target, sealed to the gateway. Several
// sealings of one version serve several gateway keys.
//
// ID, Version and Upstream are sealed in with the key: whoever changes one of
// them, or moves a ciphertext to another credential, makes it unusable. So the
// key goes where it was enrolled for and nowhere else, even if a target says
// otherwise.
type Credential struct {
	ID       string   `json:"id"`
	Version  uint64   `json:"version"`
	Upstream Upstream `json:"upstream,omitzero"` // where it may go, beside its target's
	Sealed   []Sealed `json:"sealed"`
}

// A Sealed is an HPKE ciphertext (RFC 9180, base mode); see plugins/seal.
type Sealed struct {
	Key  string `json:"key"`  // ID of the gateway key it is sealed to
	Data []byte `json:"data"` // encapsulated key and ciphertext; base64 in JSON
}
