package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/policies/compile"
	"keyward/policies/engine"
)

// maxInputBytes bounds the input document of an evaluation.
const maxInputBytes = 32 << 20

// newPolicy is the command that checks, tests, tries and compiles policies.
func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test, edit, publish and roll back Rego policies",
		Long: `Check, test, edit, publish and roll back Rego policies.

A policy is Rego in package keyward with the rules allow, deny and ask. Flags
are those of opa where they mean the same, and files, folders and bundles are
read as opa reads them.

check, test, eval and compile need no Manager; check and test ask one with
--remote. The others handle the versions that the Manager keeps.`,
	}
	cmd.AddCommand(newPolicyCheck(), newPolicyTest(), newPolicyEval(), newPolicyCompile())
	cmd.AddCommand(keptPolicies()...)
	return cmd
}

// dataPaths returns the paths of a command: those of -d, and its arguments.
func dataPaths(data, args []string) ([]string, error) {
	paths := append(append([]string(nil), data...), args...)
	if len(paths) == 0 {
		return nil, errors.New("no policy: name its files or folders")
	}
	return paths, nil
}

// optional reads the file called name; "" is none.
func optional(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	return readBounded(name)
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, name)
}

func readAll(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInputBytes+1))
	if err == nil && len(b) > maxInputBytes {
		err = fmt.Errorf("%s: more than %d bytes", name, maxInputBytes)
	}
	return b, err
}

// wideUsage explains what the ordinary gate plugin does without.
const wideUsage = "for a gate built with BUILTINS=all: also regex, glob, sprintf, calendars, CIDRs, hashes and numbers beyond 64 bits"

func newPolicyCheck() *cobra.Command {
	var (
		schema string
		wide   bool
	)
	cmd := &cobra.Command{
		Use:   "check <path>...",
		Short: "Say what is wrong with a policy, all of it",
		Long: `Say what is wrong with a policy: every error of Rego's compiler, and every
builtin the gateway does not have, as file:line:column. With a schema, also what
no input can ever have.`,
		Example: `  # a policy and its tests
  keyward policy check policy.rego policy_test.rego

  # a folder, against the schema of the input
  keyward policy check --schema input.schema.json policies/

  # by the Manager, whose compiler is the one that counts
  keyward policy check --remote policies/ --token-file admin.token`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			src, err := compile.Load(args, true)
			if err != nil {
				return err
			}
			s, err := optional(schema)
			if err != nil {
				return err
			}
			return compile.Check(src, compile.Options{Schema: s, Wide: wide})
		},
	}
	cmd.Flags().StringVarP(&schema, "schema", "s", "", "JSON schema of the input")
	cmd.Flags().BoolVar(&wide, "wide", false, wideUsage)
	return remotely(cmd, func(s *session, src manager.PolicySource) error {
		return s.api.CheckPolicy(s.ctx(), src)
	})
}

func newPolicyTest() *cobra.Command {
	var opt compile.TestOptions
	cmd := &cobra.Command{
		Use:   "test <path>...",
		Short: "Run the tests of a policy, rules called test_*",
		Example: `  # all tests of a folder
  keyward policy test policies/

  # some of them, each with its result
  keyward policy test -v -r 'test_deny' .

  # how much of the policy the tests reach, at least 90 %
  keyward policy test --coverage --threshold 90 .`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := compile.Load(args, true)
			if err != nil {
				return err
			}
			opt.Coverage = opt.Coverage || opt.Threshold > 0
			return compile.Test(cmd.Context(), src, opt, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.Run, "run", "r", "", "run only tests that match this regular expression")
	f.BoolVarP(&opt.Verbose, "verbose", "v", false, "show every test, and the trace of those that fail")
	f.StringVarP(&opt.Format, "format", "f", "pretty", "pretty or json")
	f.BoolVarP(&opt.Coverage, "coverage", "c", false, "report coverage, as JSON")
	f.Float64Var(&opt.Threshold, "threshold", 0, "fail below this coverage in percent")
	return remotely(cmd, func(s *session, src manager.PolicySource) error {
		t, err := s.api.TestPolicy(s.ctx(), src)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(s.cmd.OutOrStdout(), t.Report); err != nil || t.Passed {
			return err
		}
		return compile.ErrTestsFailed
	})
}

func newPolicyCompile() *cobra.Command {
	var (
		data, entrypoints []string
		output, schema    string
		wide              bool
	)
	cmd := &cobra.Command{
		Use:   "compile <path>...",
		Short: "Compile a policy into the program that the gateway runs",
		Example: `  # to a file
  keyward policy compile -o policy.kwrp policy.rego data.json

  # a rule of another package
  keyward policy compile -e authz/allow -o authz.kwrp authz/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := dataPaths(data, args)
			if err != nil {
				return err
			}
			src, err := compile.Load(paths, false)
			if err != nil {
				return err
			}
			s, err := optional(schema)
			if err != nil {
				return err
			}
			r, err := compile.Compile(src, compile.Options{Entrypoints: entrypoints, Schema: s, Wide: wide})
			if err != nil {
				return err
			}
			if err := os.WriteFile(output, r.Program, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: version %s, %d bytes, %s\n", output, r.Version, len(r.Program), strings.Join(r.Entrypoints, " "))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&data, "data", "d", nil, "policy or data, file or folder (may be repeated)")
	f.StringSliceVarP(&entrypoints, "entrypoint", "e", nil, "rule that can be asked for (may be repeated; default keyward/allow, deny and ask)")
	f.StringVarP(&output, "output", "o", "policy.kwrp", "file for the program")
	f.StringVarP(&schema, "schema", "s", "", "JSON schema of the input")
	f.BoolVar(&wide, "wide", false, wideUsage)
	return cmd
}

// evalFlags are the flags of `policy eval`.
type evalFlags struct {
	data          []string
	input, format string
	stdin         bool
	fail          bool
	strict        bool
	now           string
}

func newPolicyEval() *cobra.Command {
	var e evalFlags
	cmd := &cobra.Command{
		Use:   "eval <rule>",
		Short: "Ask a policy for the value of a rule",
		Long: `Ask a policy for the value of a rule, as the gateway would: compiled, and run by
the gateway's engine under its limits. A rule is written data.keyward.allow or
keyward/allow. An undefined rule has no result.`,
		Example: `  keyward policy eval -d policy.rego -i input.json data.keyward.allow

  # the value alone
  keyward policy eval -f raw -d policy.rego -i input.json data.keyward.deny

  # input from standard input, exit status 1 when undefined
  echo '{"kind":"mcp"}' | keyward policy eval -I --fail -d . data.keyward.allow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.run(cmd, args[0])
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&e.data, "data", "d", nil, "policy or data, file or folder (may be repeated)")
	f.StringVarP(&e.input, "input", "i", "", "file with the input document, as JSON")
	f.BoolVarP(&e.stdin, "stdin-input", "I", false, "read the input document from standard input")
	f.StringVarP(&e.format, "format", "f", "json", "json, as opa prints it, or raw, the value alone")
	f.BoolVar(&e.fail, "fail", false, "fail when the rule is undefined")
	f.BoolVar(&e.strict, "strict-builtin-errors", false, "treat an error in a builtin as an error of the policy")
	f.StringVar(&e.now, "now", "", "time of the decision, RFC 3339 (default now)")
	return cmd
}

func (e *evalFlags) run(cmd *cobra.Command, query string) error {
	if e.format != "json" && e.format != "raw" {
		return fmt.Errorf("format %q is not json or raw", e.format)
	}
	paths, err := dataPaths(e.data, nil)
	if err != nil {
		return err
	}
	src, err := compile.Load(paths, false)
	if err != nil {
		return err
	}
	rule := strings.ReplaceAll(strings.TrimPrefix(query, "data."), ".", "/")
	r, err := compile.Compile(src, compile.Options{Entrypoints: []string{rule}, Wide: true})
	if err != nil {
		return err
	}
	input, err := e.document(cmd.InOrStdin())
	if err != nil {
		return err
	}
	now := time.Now()
	if e.now != "" {
		if now, err = time.Parse(time.RFC3339Nano, e.now); err != nil {
			return err
		}
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		return err
	}
	entry, _ := prog.Entrypoint(rule)
	vm := prog.NewVM(engine.Limits{})
	vm.Strict(e.strict)
	vm.Begin(input, now.UnixNano())
	v, err := vm.Eval(entry)
	if err != nil {
		return err
	}
	return e.print(cmd.OutOrStdout(), query, v)
}

// document returns the input; without one it is undefined.
func (e *evalFlags) document(stdin io.Reader) (engine.Value, error) {
	var b []byte
	var err error
	switch {
	case e.stdin:
		b, err = readAll(stdin, "standard input")
	case e.input != "":
		b, err = readBounded(e.input)
	default:
		return engine.Value{}, nil
	}
	if err != nil {
		return engine.Value{}, err
	}
	v, err := engine.ParseJSON(b, engine.JSONLimits{Depth: 256, Values: maxInputBytes})
	if err != nil {
		return engine.Value{}, fmt.Errorf("input: %w", err)
	}
	return v, nil
}

func (e *evalFlags) print(w io.Writer, query string, v engine.Value) error {
	if v.IsUndefined() {
		if e.fail {
			return fmt.Errorf("%s is undefined", query)
		}
		if e.format == "json" {
			fmt.Fprintln(w, "{}")
		}
		return nil
	}
	if e.format == "raw" {
		fmt.Fprintf(w, "%s\n", v.AppendJSON(nil))
		return nil
	}
	type expression struct {
		Value json.RawMessage `json:"value"`
		Text  string          `json:"text"`
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]any{"result": []any{map[string]any{"expressions": []expression{{v.AppendJSON(nil), query}}}}})
}
