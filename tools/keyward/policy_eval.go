package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

// policyInput is the input document of a command.
type policyInput struct {
	file  string
	stdin bool
}

func (p *policyInput) flags(f *pflag.FlagSet) {
	f.StringVarP(&p.file, "input", "i", "", "file with the input document, as JSON")
	f.BoolVarP(&p.stdin, "stdin-input", "I", false, "read the input document from standard input")
}

// read returns the input's text and value; without one both are none.
func (p *policyInput) read(stdin io.Reader) (text []byte, v engine.Value, err error) {
	switch {
	case p.stdin:
		text, err = readAll(stdin, "standard input")
	case p.file != "":
		text, err = readBounded(p.file)
	default:
		return nil, engine.Value{}, nil
	}
	if err != nil {
		return nil, engine.Value{}, err
	}
	if v, err = engine.ParseJSON(text, inputLimits); err != nil {
		return nil, engine.Value{}, fmt.Errorf("input: %w", err)
	}
	return text, v, nil
}

var inputLimits = engine.JSONLimits{Depth: 256, Values: maxInputBytes}

// ruleOf returns the name of a rule, written data.keyward.allow or keyward/allow.
func ruleOf(query string) string {
	return strings.ReplaceAll(strings.TrimPrefix(query, "data."), ".", "/")
}

// evalFlags are the flags of `policy eval`.
type evalFlags struct {
	source            policySource
	input             policyInput
	format, explain   string
	fail, failDefined bool
	strict, rules     bool
	now               string
	timeout           time.Duration
}

func newPolicyEval() *cobra.Command {
	var e evalFlags
	cmd := &cobra.Command{
		Use:   "eval <rule>",
		Short: "Ask a policy for the value of a rule",
		Long: `Ask a policy for the value of a rule, as the gateway would: compiled, and run by
the gateway's engine under its limits. A rule is written data.keyward.allow or
keyward/allow. An undefined rule has no result.

With --explain, OPA itself evaluates the rule as well and tells each step; should
its result be another than the engine's, that is an error.`,
		Example: `  keyward policy eval -d policy.rego -i input.json data.keyward.allow

  # the value alone, and which rules made it
  keyward policy eval -f raw --rules -d policy.rego -i input.json data.keyward.deny

  # why
  keyward policy eval --explain full -f pretty -d policy.rego -i input.json data.keyward.allow

  # input from standard input, exit status 1 when undefined
  echo '{"kind":"mcp"}' | keyward policy eval -I --fail -d . data.keyward.allow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.run(cmd, args[0])
		},
	}
	f := cmd.Flags()
	e.source.flags(f)
	e.input.flags(f)
	f.StringVarP(&e.format, "format", "f", "json", strings.Join(evalFormats, ", ")+": as opa prints it; values and raw the value alone")
	f.StringVar(&e.explain, "explain", "off", "tell how: off, "+strings.Join(compile.Explanations, ", "))
	f.BoolVar(&e.rules, "rules", false, "name the rules that made the result, with their titles")
	f.BoolVar(&e.fail, "fail", false, "fail when the rule is undefined")
	f.BoolVar(&e.failDefined, "fail-defined", false, "fail when the rule is defined")
	f.BoolVar(&e.strict, "strict-builtin-errors", false, "treat an error in a builtin as an error of the policy")
	f.StringVar(&e.now, "now", "", "time of the decision, RFC 3339 (default now)")
	f.DurationVar(&e.timeout, "timeout", 0, "how long the evaluation may take (default no bound but the gateway's)")
	return cmd
}

// evalFormats are how a result can be printed.
var evalFormats = []string{"json", "pretty", "values", "raw", "discard"}

// An evaluation is what came out, and what is to be told of it.
type evaluation struct {
	query   string
	value   engine.Value
	rules   []engine.Rule
	explain compile.Explanation // nil: not asked for
}

func (e *evalFlags) run(cmd *cobra.Command, query string) error {
	if !slices.Contains(evalFormats, e.format) {
		return fmt.Errorf("format %q is not %s", e.format, strings.Join(evalFormats, ", "))
	}
	src, err := e.source.load(nil, false)
	if err != nil {
		return err
	}
	text, input, err := e.input.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	now := time.Now()
	if e.now != "" {
		if now, err = time.Parse(time.RFC3339Nano, e.now); err != nil {
			return err
		}
	}
	x := evaluation{query: query}
	err = e.eval(&x, src, input, now.UnixNano())
	if e.explain != "off" {
		if told := e.tell(cmd, &x, src, text, now.UnixNano(), err); told != nil {
			return told
		}
	}
	if err != nil {
		return err
	}
	if err := x.print(cmd.OutOrStdout(), e.format); err != nil {
		return err
	}
	switch {
	case e.fail && x.value.IsUndefined():
		return fmt.Errorf("%s is undefined", query)
	case e.failDefined && !x.value.IsUndefined():
		return fmt.Errorf("%s is defined", query)
	}
	return nil
}

// eval asks the engine.
func (e *evalFlags) eval(x *evaluation, src compile.Source, input engine.Value, now int64) error {
	rule := ruleOf(x.query)
	r, err := compile.Compile(src, compile.Options{Entrypoints: []string{rule}, Wide: true})
	if err != nil {
		return err
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		return err
	}
	entry, _ := prog.Entrypoint(rule)
	vm := prog.NewVM(engine.Limits{})
	vm.Strict(e.strict)
	vm.Begin(input, now)
	if e.timeout > 0 {
		defer time.AfterFunc(e.timeout, vm.Cancel).Stop()
	}
	x.value, err = vm.Eval(entry)
	if e.rules {
		x.rules = vm.AppendRules(nil)
	}
	return err
}

// tell asks OPA how, and holds its result against the engine's. Of an evaluation
// that failed it prints the steps, as nothing else is printed then.
func (e *evalFlags) tell(cmd *cobra.Command, x *evaluation, src compile.Source, text []byte, now int64, failed error) error {
	var stopped *engine.Error
	if failed != nil && !errors.As(failed, &stopped) {
		return nil // there is nothing to explain: it was not evaluated
	}
	t, err := compile.NewTopdown(src, ruleOf(x.query), e.strict)
	if err != nil {
		return err
	}
	theirs, steps, err := t.Explain(cmd.Context(), text, now, e.explain)
	if steps == nil && err != nil {
		return err
	}
	x.explain = steps
	if failed != nil {
		if _, werr := steps.WriteTo(cmd.OutOrStdout()); werr != nil {
			return werr
		}
	}
	bounded := stopped != nil && strings.HasSuffix(string(stopped.Code), "_limit")
	if !bounded && !compile.Agrees(theirs, err, x.value, failed) {
		return fmt.Errorf("the engine gives %v, %v, and OPA %s, %v: one of them is wrong, please report it", x.value, failed, theirs, err)
	}
	return nil
}

func (x *evaluation) print(w io.Writer, format string) error {
	type expression struct {
		Value json.RawMessage `json:"value"`
		Text  string          `json:"text"`
	}
	if format == "json" {
		out := map[string]any{}
		if !x.value.IsUndefined() {
			out["result"] = []any{map[string]any{"expressions": []expression{{x.value.AppendJSON(nil), x.query}}}}
		}
		if x.rules != nil {
			out["rules"] = ruleList(x.rules)
		}
		if x.explain != nil {
			out["explanation"] = x.explain
		}
		if len(out) == 0 {
			_, err := fmt.Fprintln(w, "{}")
			return err
		}
		return writeIndented(w, out)
	}
	if _, err := x.explain.WriteTo(w); err != nil {
		return err
	}
	for _, r := range x.rules {
		fmt.Fprintln(w, strings.TrimSpace("# "+r.Name+" "+r.Title))
	}
	switch {
	case format == "discard":
	case x.value.IsUndefined():
		if format == "pretty" {
			fmt.Fprintln(w, "undefined")
		}
	case format == "values":
		return writeIndented(w, []json.RawMessage{x.value.AppendJSON(nil)})
	case format == "pretty":
		return writeIndented(w, json.RawMessage(x.value.AppendJSON(nil)))
	default:
		fmt.Fprintf(w, "%s\n", x.value.AppendJSON(nil))
	}
	return nil
}

type namedRule struct {
	Rule  string `json:"rule"` // file:row
	Title string `json:"title,omitempty"`
}

func ruleList(rules []engine.Rule) []namedRule {
	list := make([]namedRule, len(rules))
	for i, r := range rules {
		list[i] = namedRule{r.Name, r.Title}
	}
	return list
}
