package audit

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Key signs checkpoints.
type Key struct {
	signer note.Signer
	public string
}

// NewKey makes a key for a log of this name, and returns the text of its private
// and of its public part.
func NewKey(name string) (private, public string, err error) {
	return note.GenerateKey(rand.Reader, name)
}

// ParseKey reads the text of a private key and that of its public part.
func ParseKey(private, public string) (*Key, error) {
	signer, err := note.NewSigner(strings.TrimSpace(private))
	if err != nil {
		return nil, errors.New("not the private key of a log") // the cause might quote it
	}
	v, err := ParsePublicKey(public)
	if err != nil {
		return nil, err
	}
	k := &Key{signer: signer, public: strings.TrimSpace(public)}
	text, err := k.Sign(State{})
	if err != nil {
		return nil, err
	}
	if _, err := Open(text, v); err != nil {
		return nil, errors.New("the private and the public key don't belong together")
	}
	return k, nil
}

// Public is the text of the public key: name+hash+key.
func (k *Key) Public() string { return k.public }

// ParsePublicKey reads the text of a public key.
func ParsePublicKey(s string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("not the public key of a log: want NAME+HASH+KEY")
	}
	return v, nil
}

// A State is what a checkpoint says of the log.
type State struct {
	Size uint64
	Root tlog.Hash
}

// Sign returns a checkpoint: a signed note whose first line is the key's name
// (c2sp.org/tlog-checkpoint).
func (k *Key) Sign(s State) (string, error) {
	text := k.signer.Name() + "\n" + strconv.FormatUint(s.Size, 10) + "\n" + s.Root.String() + "\n"
	b, err := note.Sign(&note.Note{Text: text}, k.signer)
	return string(b), err
}

var errCheckpoint = errors.New("not a checkpoint of this log")

// Open checks the signature of a checkpoint, and reads it. There is one way to
// write a checkpoint: whatever differs from it in a single byte is refused.
func Open(checkpoint string, key note.Verifier) (State, error) {
	n, err := note.Open([]byte(checkpoint), note.VerifierList(key))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return State{}, errCheckpoint
	}
	// A decoder of base64 reads several texts as the same signature.
	sig, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	if err != nil || checkpoint != n.Text+"\n— "+key.Name()+" "+base64.StdEncoding.EncodeToString(sig)+"\n" {
		return State{}, errCheckpoint
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		return State{}, errCheckpoint
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	root, err2 := tlog.ParseHash(lines[2])
	if err != nil || err2 != nil || strconv.FormatUint(size, 10) != lines[1] || root.String() != lines[2] {
		return State{}, errCheckpoint
	}
	return State{size, root}, nil
}
