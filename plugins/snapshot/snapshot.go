package snapshot

import (
	"bytes"
	"slices"

	"keyward/policies"
)

// Format names the wire form; a reader refuses any other.
const Format = "keyward.snapshot/1"

// A Snapshot is the wire form of a whole state, or of a change to one.
//
// With Since zero it is whole. Otherwise it is a delta: it holds only what
// changed between generations Since and Generation of the same Epoch, and
// Removed names what went.
type Snapshot struct {
	Format     string  `json:"format" jsonschema:"always keyward.snapshot/1"`
	Epoch      string  `json:"epoch" jsonschema:"changes when generations start anew"`
	Generation uint64  `json:"generation" jsonschema:"grows with every change, from 1"`
	Since      uint64  `json:"since,omitempty" jsonschema:"0 or absent: a whole snapshot; else a delta from that generation"`
	Policy     *Policy `json:"policy,omitempty" jsonschema:"the live policy; absent in a whole snapshot: everything is denied"`
	// SessionKey is what the gateway binds MCP sessions to consumers with, of
	// [SessionKeyBytes]. It is a secret, though one that opens nothing alone. In a
	// delta nil means unchanged; without one every process of a gateway has its own.
	SessionKey  []byte       `json:"session_key,omitempty" jsonschema:"32 random bytes, base64, that gateways bind MCP sessions to consumers with; absent: sessions end with the gateway's process"`
	Targets     []Target     `json:"targets,omitempty" jsonschema:"what lies behind the gateway"`
	Consumers   []Consumer   `json:"consumers,omitempty" jsonschema:"the identities that the gateway knows"`
	Credentials []Credential `json:"credentials,omitempty" jsonschema:"sealed keys of targets"`
	Removed     *Removed     `json:"removed,omitempty" jsonschema:"what a delta takes away; only in a delta"`
}

// Removed names entries that a delta takes away.
type Removed struct {
	Targets     []string `json:"targets,omitempty" jsonschema:"IDs"`
	Consumers   []string `json:"consumers,omitempty" jsonschema:"IDs"`
	Credentials []string `json:"credentials,omitempty" jsonschema:"IDs"`
}

// A Policy is the one live policy in compiled form.
type Policy struct {
	Version string `json:"version" jsonschema:"shown in decisions and records"`
	Program []byte `json:"program" jsonschema:"compiled policy, base64"`
}

// A Target is something behind the gateway.
type Target struct {
	ID       string            `json:"id" jsonschema:"stable name"`
	Kind     policies.Kind     `json:"kind" jsonschema:"protocol that the target speaks"`
	Labels   map[string]string `json:"labels,omitempty" jsonschema:"free labels, which the policy sees"`
	Match    []Match           `json:"match" jsonschema:"ways to reach the target; any one of them"`
	Upstream Upstream          `json:"upstream,omitzero" jsonschema:"where its credential may go"`
	// Credential is the ID of the credential of every consumer that has none of
	// its own for this target. Empty: nothing is injected.
	Credential string  `json:"credential,omitempty" jsonschema:"ID of the credential of every consumer without its own; absent: none"`
	Inject     *Inject `json:"inject,omitempty" jsonschema:"where the credential goes; absent: nothing is injected"`
	MCP        *MCP    `json:"mcp,omitempty" jsonschema:"settings of a target of kind mcp; absent: defaults"`
	Audit      *Audit  `json:"audit,omitempty" jsonschema:"how requests to the target are recorded; absent: defaults"`
}

// A Match is a way to reach a target. All fields that are set must hold, and at
// least one must be set. A match with a route beats one without; then the longer
// path wins; then a match with a host beats one without. Two equal matches are
// refused at load.
type Match struct {
	Route string `json:"route,omitempty" jsonschema:"the gateway's route name"`
	Host  string `json:"host,omitempty" jsonschema:"lower case, without port"`
	Path  string `json:"path,omitempty" jsonschema:"prefix, by whole segments"`
}

// Upstream binds a credential to where it may be sent. An empty list does not
// restrict.
type Upstream struct {
	Clusters []string `json:"clusters,omitempty" jsonschema:"the gateway's cluster names; absent: not restricted"`
	Hosts    []string `json:"hosts,omitempty" jsonschema:"request authority, lower case, without port; absent: not restricted"`
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
	Form     Form   `json:"form" jsonschema:"bearer: Authorization: Bearer KEY; header: NAME: PREFIX KEY; query: ?NAME=KEY; basic: Authorization: Basic base64(USERNAME:KEY)"`
	Name     string `json:"name,omitempty" jsonschema:"header or query parameter, for header and query"`
	Prefix   string `json:"prefix,omitempty" jsonschema:"for header: goes before the key, with its own space"`
	Username string `json:"username,omitempty" jsonschema:"for basic"`
}

// MCP are the settings of an MCP target.
type MCP struct {
	Revisions []string `json:"revisions,omitempty" jsonschema:"accepted protocol revisions; absent: all that Keyward reads"`
	Origins   []string `json:"origins,omitempty" jsonschema:"accepted Origin values; absent: none but an absent one"`
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
	ID     string            `json:"id" jsonschema:"stable name"`
	Kind   string            `json:"kind" jsonschema:"worker, human or service"`
	Labels map[string]string `json:"labels,omitempty" jsonschema:"free labels, which the policy sees"`
	State  State             `json:"state" jsonschema:"only an active consumer may do anything"`
	Tokens []Token           `json:"tokens,omitempty" jsonschema:"its consumer tokens, by digest"`
	Grants []Grant           `json:"grants,omitempty" jsonschema:"what it may use"`
	// Credentials overrides a target's credential for this consumer: target ID
	// to credential ID.
	Credentials map[string]string `json:"credentials,omitempty" jsonschema:"its own credentials in place of a target's: target ID to credential ID"`
}

// A Token is one consumer token, known by its digest alone.
type Token struct {
	ID      string `json:"id" jsonschema:"stable name within the consumer"`
	SHA256  string `json:"sha256" jsonschema:"digest of the consumer token: 64 lower-case hex digits"`
	Expires int64  `json:"expires,omitempty" jsonschema:"Unix seconds; 0 or absent: never"`
	Revoked bool   `json:"revoked,omitempty" jsonschema:"true: refused"`
}

// A Grant is a policies.Grant together with the target it is for.
type Grant struct {
	Target string `json:"target" jsonschema:"ID of the target"`
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
	ID       string   `json:"id" jsonschema:"stable name; sealed in"`
	Version  uint64   `json:"version" jsonschema:"grows with every rotation, from 1; sealed in"`
	Upstream Upstream `json:"upstream,omitzero" jsonschema:"where it may go, beside its target's; sealed in"`
	Sealed   []Sealed `json:"sealed" jsonschema:"one ciphertext for each gateway key in use"`
}

// Same reports whether both say the same.
func (c *Credential) Same(d *Credential) bool {
	return c.ID == d.ID && c.Version == d.Version &&
		slices.Equal(c.Upstream.Clusters, d.Upstream.Clusters) && slices.Equal(c.Upstream.Hosts, d.Upstream.Hosts) &&
		slices.EqualFunc(c.Sealed, d.Sealed, func(a, b Sealed) bool { return a.Key == b.Key && bytes.Equal(a.Data, b.Data) })
}

// A Sealed is an HPKE ciphertext (RFC 9180, base mode); see plugins/seal.
type Sealed struct {
	Key  string `json:"key" jsonschema:"ID of the gateway key it is sealed to"`
	Data []byte `json:"data" jsonschema:"HPKE encapsulated key and ciphertext, base64"`
}
