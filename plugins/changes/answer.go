package changes

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"keyward/plugins/snapshot"
)

// An Answer is what a Manager says.
type Answer struct {
	Status     int    // 200 with a page, 204 when nothing changed
	Cursor     string // asks for the next page; empty: this is the last
	Consistent bool   // with this page the gateway has a state that existed
	Body       []byte // the page as it was before any compression
}

// What keeps these signatures apart from any other use of the key, and those of
// requests that name an audience from those that do not.
const (
	context    = "keyward changes 2"
	contextFor = "keyward changes 3"
)

var errSignature = errors.New("the answer is not signed by the Manager for this request")

// Sign returns the signature of an answer to a request, as its header has it.
func Sign(key ed25519.PrivateKey, r Request, a Answer) string {
	return base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, signed(r, a)))
}

// Verify checks the signature of an answer to a request.
func Verify(key ed25519.PublicKey, r Request, a Answer, signature string) error {
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signed(r, a), sig) {
		return errSignature
	}
	return nil
}

// signed is what a signature is over: every part with its length before it, so
// that no two exchanges give the same bytes.
func signed(r Request, a Answer) []byte {
	body := sha256.Sum256(a.Body)
	consistent := uint64(0)
	if a.Consistent {
		consistent = 1
	}
	b := make([]byte, 0, 256)
	texts := []string{context, r.Nonce, r.Epoch, r.Cursor, r.Instance, a.Cursor, string(body[:])}
	if r.For != snapshot.Everyone {
		texts[0] = contextFor
		texts = append(texts, string(r.For))
	}
	for _, s := range texts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range []uint64{r.Since, uint64(r.Wait), uint64(a.Status), consistent} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// PublicKey reads a Manager's public key as [FormatPublicKey] writes it.
func PublicKey(s string) (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("want the Manager's public key: 43 characters of base64url")
	}
	return b, nil
}

// FormatPublicKey writes a Manager's public key for the configuration of a
// gateway.
func FormatPublicKey(k ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(k) }
