package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadFile reads a built plugin, and refuses one that a gateway would not load:
// one module that a gateway can't load holds up the configuration of all.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w; build the plugins with: make plugins", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	wasm, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(wasm) > MaxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, MaxBytes)
	}
	linked, err := Link(wasm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !bytes.Equal(linked, wasm) {
		return nil, fmt.Errorf("%s was not linked for both gateways; build the plugins with: make plugins", path)
	}
	return wasm, nil
}
