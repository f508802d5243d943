package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/policies/compile"
)

func newPolicyCheck() *cobra.Command {
	var (
		source         policySource
		schema, format string
		opt            compile.Options
	)
	cmd := &cobra.Command{
		Use:   "check <path>...",
		Short: "Say what is wrong with a policy, all of it",
		Long: `Say what is wrong with a policy: every error of Rego's compiler, and every
builtin the gateway does not have, as file:line:column. With a schema, also what
no input can ever have.`,
		Example: `  # a policy and its tests
  keyward policy check policy.rego policy_test.rego

  # a folder, against the schema of the input, for an editor to read
  keyward policy check --schema input.schema.json -f json policies/

  # by the Manager, whose compiler is the one that counts
  keyward policy check --remote policies/ --token-file admin.token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "pretty" && format != "json" {
				return fmt.Errorf("format %q is not pretty or json", format)
			}
			src, err := source.load(args, true)
			if err != nil {
				return err
			}
			if opt.Schema, err = optional(schema); err != nil {
				return err
			}
			err = compile.Check(src, opt)
			if format == "json" {
				return errors.Join(err, writeFaults(cmd.OutOrStdout(), err))
			}
			return err
		},
	}
	f := cmd.Flags()
	refuseSourceFlags(f)
	source.bundleFlag(f)
	f.StringVarP(&schema, "schema", "s", "", "JSON schema of the input")
	f.StringVarP(&format, "format", "f", "pretty", "pretty or json")
	f.BoolVarP(&opt.Strict, "strict", "S", false, "refuse unused variables and imports, and what is deprecated, too")
	f.BoolVar(&opt.Wide, "wide", false, wideUsage)
	return remotely(cmd, func(s *session, src manager.PolicySource) error {
		return s.api.CheckPolicy(s.ctx(), src)
	})
}

// writeFaults writes faults as `opa check -f json` does; nothing when there are
// none.
func writeFaults(w io.Writer, err error) error {
	var faults compile.Errors
	if !errors.As(err, &faults) {
		return nil
	}
	type location struct {
		File string `json:"file"`
		Row  int    `json:"row"`
		Col  int    `json:"col"`
	}
	type fault struct {
		Message  string   `json:"message"`
		Code     string   `json:"code"`
		Location location `json:"location"`
	}
	list := make([]fault, len(faults))
	for i, e := range faults {
		list[i] = fault{e.Message, e.Code, location{e.File, e.Row, e.Col}}
	}
	return writeIndented(w, map[string]any{"errors": list})
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func newPolicyTest() *cobra.Command {
	var (
		source policySource
		opt    compile.TestOptions
	)
	cmd := &cobra.Command{
		Use:   "test <path>...",
		Short: "Run the tests of a policy, rules called test_*",
		Example: `  # all tests of a folder
  keyward policy test policies/

  # some of them, each with its result
  keyward policy test -v -r 'test_deny' .

  # how much of the policy the tests reach, at least 90 %
  keyward policy test --coverage --threshold 90 .

  # how long each test takes, as Go's benchmarks
  keyward policy test --bench -f gobench .

  # for a CI system that shows test results
  keyward policy test -f junit . >report.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := source.load(args, true)
			if err != nil {
				return err
			}
			opt.Coverage = opt.Coverage || opt.Threshold > 0
			if opt.Bench && opt.Coverage {
				return errors.New("--bench and --coverage exclude each other")
			}
			return compile.Test(cmd.Context(), src, opt, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	refuseSourceFlags(f)
	source.bundleFlag(f)
	f.StringVarP(&opt.Run, "run", "r", "", "run only tests that match this regular expression")
	f.BoolVarP(&opt.Verbose, "verbose", "v", false, "show every test, and the trace of those that fail")
	f.StringVarP(&opt.Format, "format", "f", "pretty", "pretty, json or junit")
	f.BoolVarP(&opt.Coverage, "coverage", "c", false, "report coverage, as JSON")
	f.Float64Var(&opt.Threshold, "threshold", 0, "fail below this coverage in percent")
	f.DurationVar(&opt.Timeout, "timeout", 0, "how long one test may take (default 5s, 30s with --bench)")
	f.BoolVar(&opt.Bench, "bench", false, "measure how long each test takes in OPA; -f gobench for benchstat")
	f.BoolVar(&opt.BenchMem, "benchmem", true, "with --bench, what it allocates too")
	f.IntVar(&opt.Count, "count", 1, "run the tests so often")
	f.BoolVar(&opt.NotEmpty, "fail-on-empty", false, "fail when no test was run")
	f.BoolVarP(&opt.Skipped, "exit-zero-on-skipped", "z", false, "do not fail when a test is skipped")
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
		source         policySource
		entrypoints    []string
		output, schema string
		wide           bool
	)
	cmd := &cobra.Command{
		Use:   "compile <path>...",
		Short: "Compile a policy into the program that the gateway runs",
		Example: `  # to a file
  keyward policy compile -o policy.kwrp policy.rego data.json

  # a rule of another package
  keyward policy compile -e authz/allow -o authz.kwrp authz/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := source.load(args, false)
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
	refuseSourceFlags(f)
	source.flags(f)
	f.StringSliceVarP(&entrypoints, "entrypoint", "e", nil, "rule that can be asked for (may be repeated; default keyward/allow, deny and ask)")
	f.StringVarP(&output, "output", "o", "policy.kwrp", "file for the program")
	f.StringVarP(&schema, "schema", "s", "", "JSON schema of the input")
	f.BoolVar(&wide, "wide", false, wideUsage)
	return cmd
}
