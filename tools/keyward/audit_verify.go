package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager/audit"
)

var errTampered = errors.New("the log is not what was signed")

func newAuditExport() *cobra.Command {
	var path string
	cmd := apiCommand(&cobra.Command{
		Use:   "export",
		Short: "Write the whole log with its checkpoints, as JSON lines",
		Example: `  keyward audit export --to log.jsonl --token-file admin.token
  keyward audit export --token-file admin.token | zstd > log.jsonl.zst`,
		Args: cobra.NoArgs,
	}, func(s *session) (err error) {
		if path == "-" {
			return s.api.ExportLog(s.ctx(), s.cmd.OutOrStdout())
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(f, 1<<20)
		return errors.Join(s.api.ExportLog(s.ctx(), w), w.Flush(), f.Sync(), f.Close())
	})
	cmd.Flags().StringVar(&path, "to", "-", "new `file` to write; -: standard output")
	return cmd
}

func newAuditVerify() *cobra.Command {
	var v verification
	cmd := apiCommand(&cobra.Command{
		Use:   "verify",
		Short: "Find whatever was changed in the log since it was signed",
		Long: `Find whatever was changed in the log since it was signed: an edited, missing or
moved entry, a cut-off end, each by its position.

Reads an export, offline, or asks the Manager for one. Give the public key of
the log (the Manager's log.key.pub), and checkpoints that were kept elsewhere,
such as in the Manager's room: without them whoever has the Manager's key could
have made all of it anew.`,
		Example: `  keyward audit verify --from log.jsonl --key log.key.pub --checkpoint room.txt
  keyward audit verify --key log.key.pub --token-file admin.token`,
		Args: cobra.NoArgs,
	}, func(s *session) error {
		r, w := io.Pipe()
		go func() { w.CloseWithError(s.api.ExportLog(s.ctx(), w)) }()
		defer r.Close() // ends the export, if there is more of it
		return v.verify(s.cmd, r, s.format)
	})
	online := cmd.RunE
	v.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if v.from == "" {
			return online(cmd, args)
		}
		f, err := os.Open(v.from)
		if err != nil {
			return err
		}
		defer f.Close() // only read
		return v.verify(cmd, f, cmd.Flag("output").Value.String())
	}
	return cmd
}

// A verification is what is to be verified, and by what.
type verification struct {
	from, key   string
	checkpoints []string
}

func (v *verification) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&v.from, "from", "", "`file` with an export; empty: ask the Manager")
	f.StringVar(&v.key, "key", "", "`file` with the public key of the log; empty: the export's own, which proves nothing about who made it")
	f.StringArrayVar(&v.checkpoints, "checkpoint", nil, "`file` with a checkpoint that was kept elsewhere (may be repeated)")
}

// trust reads the files that are trusted.
func (v *verification) trust() (audit.Trust, error) {
	var t audit.Trust
	if v.key != "" {
		b, err := readSmall(v.key)
		if err != nil {
			return t, err
		}
		t.Key = strings.TrimSpace(string(b))
	}
	for _, path := range v.checkpoints {
		b, err := readSmall(path)
		if err != nil {
			return t, err
		}
		t.Checkpoints = append(t.Checkpoints, string(b))
	}
	return t, nil
}

// readSmall reads a file that holds a key or a checkpoint.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	const limit = 64 << 10
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return b, err
}

func (v *verification) verify(cmd *cobra.Command, r io.Reader, format string) error {
	trust, err := v.trust()
	if err != nil {
		return err
	}
	report, err := audit.Verify(r, trust, func(n uint64) { fmt.Fprintf(cmd.ErrOrStderr(), "%d entries\n", n) })
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if format == "json" || format == "yaml" {
		if err := printDocument(out, format, report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			fmt.Fprintln(out, f)
		}
		if report.More {
			fmt.Fprintln(out, "and more")
		}
		dropped := ""
		if report.Dropped > 0 {
			dropped = fmt.Sprintf(", all before position %d", report.Before)
		}
		fmt.Fprintf(out, "%d entries, %d of them without text%s, %d checkpoints fit; key %s\n",
			report.Entries, report.Dropped, dropped, report.Checkpoints, report.Key)
	}
	if len(report.Findings) > 0 {
		return errTampered
	}
	if trust.Key == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing was changed since it was signed; give --key to know by whom")
	}
	return nil
}
