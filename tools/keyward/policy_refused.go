package main

import (
	"errors"

	"github.com/spf13/pflag"
)

// Reasons why a flag of opa's means nothing here.
const (
	noPartial  = "the gateway decides about whole inputs, and runs no part of a policy; opa has it"
	noTarget   = "there is one way to evaluate, the gateway's engine"
	noSwitch   = "the engine has no such part to turn off"
	noVersion  = "policies are Rego v1"
	noServer   = "nothing is served"
	noOptimize = "a policy is always compiled as well as it can be"
	noChoice   = "what a policy may use is what the gateway has; see --wide"
	noClock    = "the only such builtin is time.now_ns, which has the decision's time; see --now"
)

// refusal is the value of a flag that opa has and the gateway has no use for: who
// gives it hears why, where an unknown flag would only be unknown.
type refusal string

func (refusal) String() string     { return "" }
func (refusal) Type() string       { return "" }
func (r refusal) Set(string) error { return errors.New(string(r)) }
func (r refusal) add(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.VarPF(r, name, "", "").NoOptDefVal = "true"
		_ = f.MarkHidden(name) // it is there
	}
}

func refuseEvalFlags(f *pflag.FlagSet) {
	refusal(noPartial).add(f, "partial", "unknowns", "disable-inlining", "shallow-inlining")
	refusal(noTarget).add(f, "target")
	refusal(noSwitch).add(f, "disable-indexing", "disable-early-exit", "instrument", "read-ast-values-from-store")
	refusal(noOptimize).add(f, "optimize", "entrypoint")
	refusal(noChoice).add(f, "capabilities")
	refusal(noClock).add(f, "nondeterminstic-builtins")
	refusal(noVersion).add(f, "v0-compatible")
}

func refuseBenchFlags(f *pflag.FlagSet) {
	refusal(noPartial).add(f, "partial", "unknowns", "disable-inlining", "shallow-inlining")
	refusal(noTarget).add(f, "target")
	refusal(noServer).add(f, "e2e", "config-file", "shutdown-grace-period", "shutdown-wait-period", "ready-timeout")
	refusal(noVersion).add(f, "v0-compatible")
}

func refuseSourceFlags(f *pflag.FlagSet) {
	refusal(noChoice).add(f, "capabilities")
	refusal(noVersion).add(f, "v0-compatible", "v0-v1")
}
