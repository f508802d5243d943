package filesync

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"keyward/manager/files/wire"
)

// Names in the folder that are not the user's. No object can have one.
const (
	ownDir    = wire.Reserved
	stateFile = ownDir + "/state.json"
	lockFile  = ownDir + "/lock"
)

const (
	stateFormat = "keyward.sync/1"
	maxState    = 64 << 20 // bytes
)

// A known is a file as it was when both sides were last alike.
type known struct {
	ETag  string `json:"etag"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // of the file here, Unix nanoseconds
}

// An upload is a large file that is being sent.
type upload struct {
	ID   string `json:"id"`
	ETag string `json:"etag"` // of the whole
}

// A state is what a folder remembers.
type state struct {
	Format  string            `json:"format"`
	Prefix  string            `json:"prefix"`
	Files   map[string]known  `json:"files"`
	Uploads map[string]upload `json:"uploads,omitempty"`
}

// base is name to ETag.
func (s *state) base() map[string]string {
	m := make(map[string]string, len(s.Files))
	for name, k := range s.Files {
		m[name] = k.ETag
	}
	return m
}

// loadState reads what a folder remembers; nothing there is a new folder's.
func loadState(root *os.Root) (*state, error) {
	s := &state{Format: stateFormat, Files: map[string]known{}, Uploads: map[string]upload{}}
	f, err := openPlain(root, stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxState || json.Unmarshal(b, s) != nil || s.Format != stateFormat || s.Files == nil {
		return nil, fmt.Errorf("%s can't be read: remove the folder %s to begin anew; what differs is then a conflict", stateFile, ownDir)
	}
	if s.Uploads == nil {
		s.Uploads = map[string]upload{}
	}
	return s, nil
}

// save keeps s, whole or not at all.
func (s *state) save(root *os.Root) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	const next = stateFile + ".new"
	if err := root.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return root.Rename(next, stateFile)
}
