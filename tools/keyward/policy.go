package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyward/policies/compile"
)

// maxInputBytes bounds the input document of an evaluation.
const maxInputBytes = 32 << 20

// newPolicy is the command that checks, tests, tries and compiles policies.
func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test, try, measure, edit, publish and roll back Rego policies",
		Long: `Check, test, try, measure, edit, publish and roll back Rego policies.

A policy is Rego in package keyward with the rules allow, deny and ask. Flags
are those of opa where they mean the same, and files, folders and bundles are
read as opa reads them.

bench, check, compile, eval, fmt and test need no Manager; check and test ask one with
--remote. The others handle the versions that the Manager keeps.`,
	}
	cmd.AddCommand(newPolicyBench(), newPolicyCheck(), newPolicyCompile(), newPolicyEval(), newPolicyFmt(), newPolicyTest())
	cmd.AddCommand(keptPolicies()...)
	return cmd
}

// policySource is where a command finds its policy.
type policySource struct{ data, bundles []string }

func (p *policySource) bundleFlag(f *pflag.FlagSet) {
	f.StringSliceVarP(&p.bundles, "bundle", "b", nil, "bundle, file or folder (may be repeated)")
}

func (p *policySource) flags(f *pflag.FlagSet) {
	f.StringSliceVarP(&p.data, "data", "d", nil, "policy or data, file or folder (may be repeated)")
	p.bundleFlag(f)
}

// load reads what -d, -b and arguments name.
func (p *policySource) load(args []string, withTests bool) (compile.Source, error) {
	paths := append(append([]string(nil), p.data...), args...)
	if len(paths)+len(p.bundles) == 0 {
		return compile.Source{}, errors.New("no policy: name its files or folders")
	}
	src, err := compile.LoadBundles(p.bundles, withTests)
	if err != nil || len(paths) == 0 {
		return src, err
	}
	more, err := compile.Load(paths, withTests)
	if err != nil && !errors.Is(err, compile.ErrNoRego) {
		return compile.Source{}, err
	}
	if len(src.Modules) > 0 {
		err = nil
	}
	return src, errors.Join(err, src.Add(more))
}

// loadAny is load for what needs no policy: data alone, or nothing.
func (p *policySource) loadAny() (compile.Source, error) {
	if len(p.data)+len(p.bundles) == 0 {
		return compile.Source{}, nil
	}
	src, err := p.load(nil, true)
	if errors.Is(err, compile.ErrNoRego) {
		err = nil
	}
	return src, err
}

// policyChecks are what else a policy has to pass before it is asked.
type policyChecks struct {
	strict bool
	schema string
}

func (p *policyChecks) flags(f *pflag.FlagSet) {
	f.BoolVarP(&p.strict, "strict", "S", false, "refuse unused variables and imports, and what is deprecated, too")
	f.StringVarP(&p.schema, "schema", "s", "", "JSON schema of the input, which the types of the policy must fit")
}

func (p *policyChecks) run(src compile.Source) error {
	if !p.strict && p.schema == "" {
		return nil
	}
	schema, err := optional(p.schema)
	if err != nil {
		return err
	}
	return compile.Check(src, compile.Options{Wide: true, Strict: p.strict, Schema: schema})
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
