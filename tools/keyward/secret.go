package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxSecretBytes bounds a secret that is read, with space around it.
const maxSecretBytes = 64 << 10

// readSecret reads a secret from a file; "-" is standard input, which on a
// terminal is asked for without echo. A secret never comes as an argument, where
// every process of the machine sees it.
func readSecret(cmd *cobra.Command, file, prompt string) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readLine(f)
	}
	if !isTerminal(cmd) {
		return readLine(cmd.InOrStdin())
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	b, err := term.ReadPassword(int(cmd.InOrStdin().(*os.File).Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	if err == nil && len(b) == 0 {
		err = errors.New("nothing was typed")
	}
	return b, err
}

// isTerminal reports whether somebody types the standard input of cmd.
func isTerminal(cmd *cobra.Command) bool {
	in, ok := cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// readLine reads one line, of which only the line break at its end is not part
// of the secret.
func readLine(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecretBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSecretBytes {
		return nil, fmt.Errorf("more than %d bytes", maxSecretBytes)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return nil, errors.New("nothing to read")
	}
	return b, nil
}
