package manager

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"keyward/manager/audit"
)

const keyType = "PRIVATE KEY"

// signingKey reads the key that signs answers to gateways, and makes it where
// there is none.
func signingKey(path string) (ed25519.PrivateKey, error) {
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newSigningKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != keyType {
		return nil, fmt.Errorf("%s: want a PEM block %q", path, keyType)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: not a PKCS #8 key", path) // the cause might quote it
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: want an Ed25519 key", path)
	}
	return key, nil
}

func newSigningKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeNew(path, 0o600, pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der}))
}

func writeNew(path string, mode fs.FileMode, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// logKey reads the key that signs checkpoints of the audit log, and makes it
// where there is none. The log's name is random: no two logs share one.
func logKey(path string) (*audit.Key, error) {
	private, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var secret, public string
		if secret, public, err = audit.NewKey("keyward/" + strings.ToLower(rand.Text())); err != nil {
			return nil, err
		}
		private = []byte(secret + "\n")
		err = errors.Join(writeNew(path, 0o600, private), writeNew(path+".pub", 0o644, []byte(public+"\n")))
	}
	if err != nil {
		return nil, err
	}
	public, err := readFile(path + ".pub")
	if err != nil {
		return nil, err
	}
	key, err := audit.ParseKey(string(private), string(public))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
