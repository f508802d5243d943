package matrix

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"maunium.net/go/mautrix/id"
)

const (
	maxSession = 16 << 10 // bytes of the file
	keyBytes   = 32
)

// A session is what the Manager keeps of its account. Transaction IDs count
// within one device, which must therefore stay the same.
type session struct {
	User   id.UserID   `json:"user_id"`
	Device id.DeviceID `json:"device_id,omitempty"`
	Token  string      `json:"access_token,omitempty"`
	Key    []byte      `json:"password_key"` // makes the passwords of all accounts

	path string
}

// openSession reads the file of a session, or begins one for user.
func openSession(path string, user id.UserID) (*session, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		s := &session{User: user, Key: make([]byte, keyBytes), path: path}
		rand.Read(s.Key) // never fails
		return s, s.save()
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o077 != 0 {
		return nil, errors.Join(fmt.Errorf("%s: others may read it: chmod 600", path), err)
	}
	s := &session{path: path}
	b, err := io.ReadAll(io.LimitReader(f, maxSession))
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, s) != nil || len(s.Key) != keyBytes {
		return nil, fmt.Errorf("%s: not a session file", path) // the cause might quote it
	}
	if s.User != user {
		return nil, fmt.Errorf("%s: is of %q, not of %q", path, s.User, user)
	}
	return s, nil
}

// save replaces the file, whole.
func (s *session) save() error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), ".matrix-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// password is that of an account. Nobody has to keep it.
func (s *session) password(user id.UserID) string {
	mac := hmac.New(sha256.New, s.Key)
	io.WriteString(mac, "keyward matrix password of "+string(user))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
