package manager

import (
	"time"

	"keyward/plugins/snapshot"
)

// MaxCredentialsKept is how many versions of a credential can be in their
// overlap.
const MaxCredentialsKept = 8

// A Credential is the real key of a target, as far as anybody may read it: never
// its ciphertext, let alone the key.
type Credential struct {
	Meta
	Note     string              `json:"note,omitempty" doc:"Free text"`
	Retired  bool                `json:"retired" doc:"Erased; what refers to it is denied. Final"`
	Next     uint64              `json:"next" doc:"Number to seal the next version as"`
	Versions []CredentialVersion `json:"versions" doc:"The newest, which is the one in use, first; then those in their overlap"`
}

// A CredentialVersion is one key that was enrolled.
type CredentialVersion struct {
	Number   uint64            `json:"number" doc:"Version that it was sealed as"`
	Created  time.Time         `json:"created"`
	Retires  time.Time         `json:"retires,omitzero" doc:"End of the overlap; absent for the version in use"`
	Upstream snapshot.Upstream `json:"upstream,omitzero" doc:"Where it may be sent; sealed in"`
	Keys     []string          `json:"keys" doc:"Ids of the gateway keys that it is sealed to"`
}

// A CredentialSpec is a credential that is to be enrolled. Its number is 1.
type CredentialSpec struct {
	ID   string `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Stable name, such as github-main"`
	Note string `json:"note,omitempty" maxLength:"200" doc:"Free text"`
	CredentialSealed
}

// A CredentialSealed is a key, sealed. ID, number and upstream are sealed in:
// with others it doesn't open.
type CredentialSealed struct {
	Upstream snapshot.Upstream `json:"upstream,omitzero" doc:"Where it may be sent"`
	Sealed   []snapshot.Sealed `json:"sealed,omitempty" minItems:"1" maxItems:"16" writeOnly:"true" doc:"The key, sealed to each gateway key"`
}

// A CredentialRotation is a new version of a credential.
type CredentialRotation struct {
	Number uint64 `json:"number" minimum:"2" doc:"Version that it was sealed as: the credential's next"`
	CredentialSealed
	OverlapSeconds int64 `json:"overlap_seconds,omitzero" minimum:"0" maximum:"7776000" doc:"How long one can go back to the version before; 0: it is erased at once"`
}

// Validate checks s.
func (s CredentialSpec) Validate() error {
	if !ValidID(s.ID) {
		return invalid("id", "must match %s", IDPattern)
	}
	if err := validText("note", s.Note, 0, 200); err != nil {
		return err
	}
	return s.CredentialSealed.Validate()
}

// Validate checks s. Whether the ciphertexts open, only a gateway can tell.
func (s CredentialSealed) Validate() error {
	if err := notEmpty("upstream", s.Upstream); err != nil {
		return err
	}
	if len(s.Upstream.Clusters) == 0 && len(s.Upstream.Hosts) == 0 {
		return invalid("upstream", "must name where the key may be sent")
	}
	w := snapshot.Credential{ID: "any", Version: 1, Upstream: s.Upstream, Sealed: s.Sealed}
	_, err := snapshot.DecodeCredential(snapshot.EncodeCredential(&w))
	return fieldError("", err)
}

// Validate checks r.
func (r CredentialRotation) Validate() error {
	if err := validOverlap(r.OverlapSeconds); err != nil {
		return err
	}
	return r.CredentialSealed.Validate()
}

// Retired is what a gateway gets of a retired credential: one that no gateway
// key opens. Were it gone instead, a consumer's own credential would give way to
// its target's, and retiring would widen.
func Retired(id string, version uint64) snapshot.Credential {
	return snapshot.Credential{ID: id, Version: version, Sealed: []snapshot.Sealed{{Key: "retired", Data: []byte{0}}}}
}
