package manager

import (
	"context"
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
	"keyward/manager/store"
	"keyward/plugins/changes"
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

// claim refuses a key that is not the one of the store. file is where it is from.
func claim(ctx context.Context, s *store.Store, name, public, file string) error {
	known, err := s.ClaimKey(ctx, name, public)
	if err != nil || known == public {
		return err
	}
	return fmt.Errorf("%s: the key %s is not the one that the Managers of this store share, which is %s: use their file, or see keyward manager adopt-keys", file, public, known)
}

// An Adopted is a key that a store took in place of another.
type Adopted struct {
	Name, Was, Is string // Was empty: it had none
}

// AdoptKeys makes the keys of a configuration those of its store. No Manager may
// run on it.
func AdoptKeys(ctx context.Context, c *Config) ([]Adopted, error) {
	s, err := store.Open(ctx, c.Store.DSN, store.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	key, err := signingKey(c.Gateways.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("gateways: signing key: %w", err)
	}
	log, err := logKey(c.Log.Key)
	if err != nil {
		return nil, fmt.Errorf("log: key: %w", err)
	}
	list := []Adopted{
		{Name: store.KeyGateways, Is: changes.FormatPublicKey(key.Public().(ed25519.PublicKey))},
		{Name: store.KeyLog, Is: log.Public()},
	}
	for i := range list {
		if list[i].Was, err = s.ReplaceKey(ctx, list[i].Name, list[i].Is); err != nil {
			return nil, err
		}
	}
	return list, nil
}
