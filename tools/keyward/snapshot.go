package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"keyward/plugins/snapshot"
	"keyward/policies/compile"
	"keyward/policies/engine"
	"keyward/tools/source"
)

// newSnapshot is the command that builds, fetches, checks and compares snapshots.
func newSnapshot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Build, fetch, check and compare snapshots: all that a gateway needs to know",
	}
	cmd.AddCommand(newSnapshotBuild(), newSnapshotCheck(), newSnapshotDiff(), newSnapshotFetch())
	return cmd
}

func newSnapshotBuild() *cobra.Command {
	var file, output string
	var generation uint64
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build a snapshot from a YAML file and a policy",
		Long: `Build a snapshot from a YAML file: the members of a snapshot, and in place of the
policy's program the paths of its files and folders, which are compiled. Errors
have file, line and column. Nothing is written unless all of it is right.`,
		Example: `  keyward snapshot build -f keyward.yaml -o snapshot.json

  # keyward.yaml
  policy: [policy.rego]
  targets:
    - id: github
      kind: mcp
      match: [{path: /github}]
      upstream: {hosts: [api.github.com]}
      credential: github
      inject: {form: bearer}
  consumers:
    - id: worker-1
      kind: worker
      state: active
      tokens: [{id: t-0123456789ab, sha256: "…"}]   # keyward token new
      grants: [{id: g1, target: github, tools: [issues_list]}]
  credentials:
    - {…}                                           # keyward seal`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := build(file, generation)
			if err != nil {
				return err
			}
			return saveSnapshot(cmd.OutOrStdout(), output, s)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "keyward.yaml", "file to build from")
	f.StringVarP(&output, "output", "o", "snapshot.json", "file for the snapshot; - is standard output")
	f.Uint64Var(&generation, "generation", 0, "generation of the snapshot in place of the file's")
	return cmd
}

// build reads a source and compiles its policy, whose paths are relative to the
// source's folder.
func build(file string, generation uint64) (*snapshot.Snapshot, error) {
	b, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	src, err := source.Read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s := src.Snapshot
	if generation > 0 {
		s.Generation = generation
	}
	if _, err := src.View(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if src.Policy == nil {
		return s, nil
	}
	var paths []string
	for _, p := range src.Policy {
		if !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(file), p)
		}
		paths = append(paths, p)
	}
	policy, err := compile.Load(paths, false)
	if err != nil {
		return nil, err
	}
	r, err := compile.Compile(policy, compile.Options{})
	if err != nil {
		return nil, err
	}
	s.Policy = &snapshot.Policy{Version: r.Version, Program: r.Program}
	_, err = snapshot.NewView(s)
	return s, err
}

func newSnapshotCheck() *cobra.Command {
	return &cobra.Command{
		Use:     "check <file>",
		Short:   "Say what a snapshot holds, or what is wrong with it and where",
		Example: `  keyward snapshot check snapshot.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := readSnapshot(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0]+": "+summary(s))
			return nil
		},
	}
}

func newSnapshotDiff() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "diff <older> <newer>",
		Short: "Print the delta that leads from one snapshot to another",
		Long: `Print the delta that leads from one snapshot to another of the same epoch and a
greater generation. It is applied to the older one before it is printed.`,
		Example: `  keyward snapshot diff snapshot-7.json snapshot-8.json`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			older, err := readSnapshot(args[0])
			if err != nil {
				return err
			}
			newer, err := readSnapshot(args[1])
			if err != nil {
				return err
			}
			delta, err := snapshot.Diff(older, newer)
			if err != nil {
				return err
			}
			view, err := snapshot.NewView(older)
			if err != nil {
				return err
			}
			if err := view.Apply(delta); err != nil {
				return fmt.Errorf("no delta leads there: %w", err)
			}
			return writeSnapshot(cmd.OutOrStdout(), output, delta)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "file for the delta; - is standard output")
	return cmd
}

// readSnapshot reads a whole snapshot that a gateway would take.
func readSnapshot(file string) (*snapshot.Snapshot, error) {
	b, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	if _, err := snapshot.Load(b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s, err := snapshot.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.Policy != nil {
		if _, err := engine.Load(s.Policy.Program); err != nil {
			return nil, fmt.Errorf("%s: /policy/program: %w", file, err)
		}
	}
	return s, nil
}

// saveSnapshot writes s, and says what is in a file.
func saveSnapshot(w io.Writer, file string, s *snapshot.Snapshot) error {
	if err := writeSnapshot(w, file, s); err != nil || file == "-" {
		return err
	}
	fmt.Fprintln(w, file+": "+summary(s))
	return nil
}

// writeSnapshot writes s for people and machines: indented JSON. A file is
// replaced whole or not at all, since a gateway may be watching it.
func writeSnapshot(w io.Writer, file string, s *snapshot.Snapshot) error {
	v := jsontext.Value(snapshot.Encode(s))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		return err
	}
	v = append(v, '\n')
	if file == "-" {
		_, err := w.Write(v)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".snapshot-*")
	if err != nil {
		return err
	}
	_, err = f.Write(v)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func summary(s *snapshot.Snapshot) string {
	policy := "no policy, so that everything is denied"
	if s.Policy != nil {
		policy = "policy " + s.Policy.Version
	}
	return fmt.Sprintf("generation %d of epoch %s, %d targets, %d consumers, %d credentials, %s",
		s.Generation, s.Epoch, len(s.Targets), len(s.Consumers), len(s.Credentials), policy)
}
