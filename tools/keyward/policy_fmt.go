package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"keyward/policies/compile"
)

// fmtFlags are the flags of `policy fmt`.
type fmtFlags struct{ write, list, diff, fail bool }

func newPolicyFmt() *cobra.Command {
	var f fmtFlags
	cmd := &cobra.Command{
		Use:   "fmt [path]...",
		Short: "Write a policy as everybody writes Rego",
		Long: `Write a policy as everybody writes Rego: the text that opa fmt makes. Without a
path it formats standard input. Of a folder, every .rego file is meant.`,
		Example: `  # change the files
  keyward policy fmt -w policies/

  # what would change
  keyward policy fmt --diff policies/

  # in CI: name the files that are not formatted, and fail
  keyward policy fmt --list --fail .`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.stdin(cmd)
			}
			return f.paths(cmd, args)
		},
	}
	cmd.Flags().BoolVarP(&f.write, "write", "w", false, "write the result to the file instead of standard output")
	cmd.Flags().BoolVarP(&f.list, "list", "l", false, "name the files whose format differs, instead of writing them")
	cmd.Flags().BoolVarP(&f.diff, "diff", "d", false, "show how the files would change, instead of writing them")
	cmd.Flags().BoolVar(&f.fail, "fail", false, "fail when a file's format differs")
	refusal(noVersion).add(cmd.Flags(), "v0-compatible", "v0-v1", "rego-v1", "drop-v0-imports")
	return cmd
}

var errUnformatted = errors.New("not formatted")

func (f *fmtFlags) stdin(cmd *cobra.Command) error {
	text, err := readAll(cmd.InOrStdin(), "standard input")
	if err != nil {
		return err
	}
	out, err := compile.Format("stdin", text)
	if err != nil {
		return err
	}
	if f.diff {
		_, err = cmd.OutOrStdout().Write(diff.Diff("stdin", text, "formatted", out))
	} else {
		_, err = cmd.OutOrStdout().Write(out)
	}
	if err != nil {
		return err
	}
	if f.fail && !bytes.Equal(text, out) {
		return errUnformatted
	}
	return nil
}

func (f *fmtFlags) paths(cmd *cobra.Command, paths []string) error {
	differ := false
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name != p && filepath.Ext(name) != ".rego" {
				return err
			}
			different, err := f.file(cmd, name)
			differ = differ || different
			return err
		})
		if err != nil {
			return err
		}
	}
	if differ && f.fail {
		return errUnformatted
	}
	return nil
}

func (f *fmtFlags) file(cmd *cobra.Command, name string) (different bool, err error) {
	text, err := readBounded(name)
	if err != nil {
		return false, err
	}
	out, err := compile.Format(name, text)
	if err != nil {
		return false, err
	}
	different = !bytes.Equal(text, out)
	if f.list && different {
		fmt.Fprintln(cmd.OutOrStdout(), name)
	}
	if f.diff {
		if _, err := cmd.OutOrStdout().Write(diff.Diff(name, text, "formatted", out)); err != nil {
			return different, err
		}
	}
	switch {
	case f.write && different:
		err = rewrite(name, out)
	case !f.write && !f.list && !f.diff:
		_, err = cmd.OutOrStdout().Write(out)
	}
	return different, err
}

// rewrite replaces a file's text, and leaves the file whole if that fails.
func rewrite(name string, text []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(name), ".keyward-fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // it is gone when all went well
	_, err = next.Write(text)
	if err := errors.Join(err, next.Chmod(info.Mode().Perm()), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), name)
}
