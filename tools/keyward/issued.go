package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

// outFlag is where a new secret goes.
func outFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("out", "", "new `file` for the secret alone, which nobody else can read; - prints it alone")
	return cmd
}

// issue prints an object and its secret, which is shown this once, and waits for
// the change. A file for the secret must be new: it is made before the secret
// is, so that none gets lost.
func issue[T any](s *session, v view[T], call func() (manager.Issued[T], client.Change, error)) error {
	out, err := s.cmd.Flags().GetString("out")
	if err != nil {
		return err
	}
	var file *os.File
	if out != "" && out != "-" {
		if file, err = os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	i, change, err := call()
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close(), os.Remove(out))
		}
		return err
	}
	switch {
	case file != nil:
		_, err = fmt.Fprintln(file, i.Secret)
		if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
			err = printOne(s, v, i.Object)
		}
	case out == "-":
		_, err = fmt.Fprintln(s.cmd.OutOrStdout(), i.Secret)
	default:
		err = printIssued(s, v, i)
	}
	if err != nil {
		return err
	}
	return s.changed(change)
}

func printIssued[T any](s *session, v view[T], i manager.Issued[T]) error {
	if s.format == "json" || s.format == "yaml" {
		b, err := json.Marshal(i.Object)
		if err != nil {
			return err
		}
		b = fmt.Appendf(b[:len(b)-1], ",%q:%q}", "secret", i.Secret) // base62 needs no escape
		return printDocument(s.cmd.OutOrStdout(), s.format, json.RawMessage(b))
	}
	if err := printOne(s, v, i.Object); err != nil || s.format == "name" {
		return err
	}
	_, err := fmt.Fprintf(s.cmd.OutOrStdout(), "\nThe secret. It is shown this once:\n\n  %s\n", i.Secret)
	return err
}
