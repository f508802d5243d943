package unseal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
)

// Info keeps what is sealed here apart from every other use of HPKE.
const Info = "keyward credential 1"

// Identifiers and sizes of the suite; RFC 9180 section 7, draft-ietf-hpke-pq.
const (
	kemID    = 0x647a // MLKEM768-X25519
	kdfID    = 0x0001 // HKDF-SHA256
	aeadID   = 0x0002 // AES-256-GCM
	kemLabel = `\.//^\`

	pqBytes    = mlkem.CiphertextSize768
	encBytes   = pqBytes + 32 // with an X25519 public key behind it
	aeadBytes  = 32
	nonceBytes = 12
)

// decapsulate is Decap of MLKEM768-X25519.
func (k *Key) decapsulate(enc []byte) ([]byte, error) {
	pq, err := k.pq.Decapsulate(enc[:pqBytes])
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(enc[pqBytes:])
	if err != nil {
		return nil, err
	}
	t, err := k.t.ECDH(ephemeral)
	if err != nil {
		return nil, err
	}
	h := sha3.New256()
	for _, part := range [][]byte{pq, t, enc[pqBytes:], k.t.PublicKey().Bytes(), []byte(kemLabel)} {
		_, _ = h.Write(part) // never fails
	}
	return h.Sum(nil), nil
}

// schedule is KeySchedule of RFC 9180 section 5.1 in base mode, for a single
// message: the nonce is that of sequence number 0.
func schedule(shared []byte) (cipher.AEAD, []byte, error) {
	var steps labeled
	context := append([]byte{0}, steps.extract(nil, "psk_id_hash", nil)...)
	context = append(context, steps.extract(nil, "info_hash", []byte(Info))...)
	secret := steps.extract(shared, "secret", nil)
	key := steps.expand(secret, "key", context, aeadBytes)
	nonce := steps.expand(secret, "base_nonce", context, nonceBytes)
	if steps.err != nil {
		return nil, nil, steps.err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce, err
}

// labeled are LabeledExtract and LabeledExpand of RFC 9180 section 4; it keeps
// the first error.
type labeled struct {
	err error
}

// prefix begins every label: the version and the suite.
func (l *labeled) prefix(b []byte, label string) []byte {
	b = append(b, "HPKE-v1HPKE"...)
	for _, id := range [...]uint16{kemID, kdfID, aeadID} {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, label...)
}

func (l *labeled) extract(salt []byte, label string, ikm []byte) []byte {
	out, err := hkdf.Extract(sha256.New, append(l.prefix(nil, label), ikm...), salt)
	l.note(err)
	return out
}

func (l *labeled) expand(prk []byte, label string, context []byte, size int) []byte {
	b := l.prefix(binary.BigEndian.AppendUint16(nil, uint16(size)), label)
	out, err := hkdf.Expand(sha256.New, prk, string(append(b, context...)), size)
	l.note(err)
	return out
}

func (l *labeled) note(err error) {
	if l.err == nil {
		l.err = err
	}
}
