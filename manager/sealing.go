package manager

import (
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
)

// MaxSealingKeys is how many gateway keys there can be at once: a credential is
// sealed to each of them.
const MaxSealingKeys = 16

// A SealingKey is the public half of a key pair of gateways, to which
// credentials are sealed. The private half is at the gateways alone. Its ID is
// that of the key pair.
type SealingKey struct {
	Meta
	Public  string `json:"public" doc:"The public key, as keyward gateway keygen writes it"`
	Note    string `json:"note,omitempty" doc:"Free text"`
	Sealed  int64  `json:"sealed" doc:"Credentials in use that are sealed to it"`
	Missing int64  `json:"missing" doc:"Credentials in use that are not: a gateway that has only this key is denied what needs them"`
}

// A SealingKeySpec is a gateway key that is to be made known.
type SealingKeySpec struct {
	Public string `json:"public" maxLength:"4096" doc:"The public key, as keyward gateway keygen writes it"`
	Note   string `json:"note,omitempty" maxLength:"200" doc:"Free text"`
}

// Key reads and checks s.
func (s SealingKeySpec) Key() (*seal.PublicKey, error) {
	if err := validText("note", s.Note, 0, 200); err != nil {
		return nil, err
	}
	k, err := seal.ParsePublic(s.Public)
	if err != nil {
		return nil, invalid("public", "is not the public key of a gateway, or mistyped")
	}
	return k, nil
}

// SealTo seals secret as a version of a credential to every key.
func SealTo(keys []*seal.PublicKey, id string, number uint64, to snapshot.Upstream, secret seal.Secret) (CredentialSealed, error) {
	out := CredentialSealed{Upstream: to}
	c := snapshot.Credential{ID: id, Version: number, Upstream: to}
	for _, k := range keys {
		s, err := seal.Seal(k, secret, seal.For(&c))
		if err != nil {
			return out, err
		}
		out.Sealed = append(out.Sealed, s)
	}
	return out, nil
}
