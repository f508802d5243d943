package seal

import (
	"crypto/hpke"

	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
)

// What both halves of sealing share.
type (
	// A Secret is a credential in clear.
	Secret = unseal.Secret
	// A Binding is what a ciphertext is good for.
	Binding = unseal.Binding
)

// NewSecret takes b over as a secret, which must be fit for a header.
func NewSecret(b []byte) (Secret, error) { return unseal.NewSecret(b) }

// For returns the binding of a credential as it stands in a snapshot.
func For(c *snapshot.Credential) Binding { return unseal.For(c) }

// Seal closes secret for b to the holder of k.
func Seal(k *PublicKey, secret Secret, b Binding) (snapshot.Sealed, error) {
	if _, err := NewSecret(secret.Reveal()); err != nil {
		return snapshot.Sealed{}, err
	}
	enc, sender, err := hpke.NewSender(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(unseal.Info))
	if err != nil {
		return snapshot.Sealed{}, err
	}
	sealed, err := sender.Seal(b.Bytes(), secret.Reveal())
	if err != nil {
		return snapshot.Sealed{}, err
	}
	return snapshot.Sealed{Key: k.id, Data: append(enc, sealed...)}, nil
}
