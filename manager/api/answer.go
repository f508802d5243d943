package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"keyward/manager"
	"keyward/manager/store"
)

// An answerKey keeps the answer to one request, so that the request can be sent
// again. The answer may hold a token, so it is encrypted under a key that comes
// from the caller's own token and idempotency key. Neither is in the store: a
// dump of it gives no answer away.
type answerKey struct {
	id          string
	fingerprint string
	aead        cipher.AEAD
}

// newAnswerKey returns the key for a request by who, known by their idempotency
// key, for an operation with an input.
func newAnswerKey(who caller, key, operation string, in any) (*answerKey, error) {
	secret, err := hkdf.Key(sha256.New, []byte(who.secret), nil, "keyward kept answer\x00"+key, 64)
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	// Keyed, because the request may hold a secret that could be guessed.
	mac := hmac.New(sha256.New, secret[32:])
	mac.Write([]byte(operation + "\x00"))
	mac.Write(request)
	block, err := aes.NewCipher(secret[:32])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(who.ID + "\x00" + key))
	return &answerKey{
		id:          hex.EncodeToString(id[:]),
		fingerprint: hex.EncodeToString(mac.Sum(nil)),
		aead:        aead,
	}, nil
}

// replay fills out with the answer that was kept, if there is one.
func (k *answerKey) replay(ctx context.Context, tx *store.Tx, out any) (bool, error) {
	a, err := tx.Answered(ctx, k.id, k.fingerprint)
	if errors.Is(err, manager.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b, err := k.aead.Open(nil, nil, a.Sealed, []byte(k.id))
	if err != nil {
		return false, manager.ErrKeyReused
	}
	return true, json.Unmarshal(b, out)
}

func (k *answerKey) keep(ctx context.Context, tx *store.Tx, out any) error {
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return tx.KeepAnswer(ctx, store.Answer{
		ID: k.id, Fingerprint: k.fingerprint, Sealed: k.aead.Seal(nil, nil, b, []byte(k.id)),
	})
}
