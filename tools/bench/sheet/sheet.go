// Package sheet keeps what several programs measure in one file.
package sheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Merge writes the JSON members of a struct over those of the same name in a file,
// which holds one object, and makes the file if there is none.
func Merge(name string, members any) error {
	all := map[string]json.RawMessage{}
	switch old, err := os.ReadFile(name); {
	case err == nil:
		if err := json.Unmarshal(old, &all); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	b, err := json.Marshal(members)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	if b, err = json.Marshal(all); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}
