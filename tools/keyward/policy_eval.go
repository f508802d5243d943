package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
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
	f.StringVarP(&p.file, "input", "i", "", "file with the input document, as JSON or YAML")
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
	if ext := filepath.Ext(p.file); err == nil && (ext == ".yaml" || ext == ".yml") {
		text, err = compile.JSONOf(text)
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

// rulePath is the other way to write a rule.
var rulePath = regexp.MustCompile(`^[A-Za-z_]\w*(/[A-Za-z_]\w*)+$`)

// ruleQuery is the query for a rule that may be written that other way.
func ruleQuery(query string) string {
	if rulePath.MatchString(query) {
		return "data." + strings.ReplaceAll(query, "/", ".")
	}
	return query
}

// evalFlags are the flags of `policy eval`.
type evalFlags struct {
	source            policySource
	input             policyInput
	query             compile.QueryOptions
	format, explain   string
	fail, failDefined bool
	rules, stdin      bool
	now               string
	timeout           time.Duration
	checks            policyChecks
	measureFlags
}

func newPolicyEval() *cobra.Command {
	var e evalFlags
	cmd := &cobra.Command{
		Use:   "eval <query>",
		Short: "Ask a policy a query",
		Long: `Ask a policy a query, as the gateway would: compiled, and run by the gateway's
engine under its limits. A query is any of Rego; a rule may also be written
keyward/allow. What is undefined has no result.

With --explain engine, the engine tells each step: which rules it enters and leaves
with what, which expressions it evaluates, and with which values one fails. With the
other explanations OPA itself evaluates the query as well and tells its steps, as
opa eval does; should its result be another than the engine's, that is an error.`,
		Example: `  keyward policy eval -d policy.rego -i input.json data.keyward.allow

  # the value alone, and which rules made it
  keyward policy eval -f raw --rules -d policy.rego -i input.json data.keyward.deny

  # several ways to hold, as a table of variables
  keyward policy eval -f pretty -d users.json 'some name; data.users[name].age > 40'

  # why
  keyward policy eval --explain engine -f pretty -d policy.rego -i input.json data.keyward.allow

  # why, as OPA tells it
  keyward policy eval --explain full -f pretty -d policy.rego -i input.json data.keyward.allow

  # input from standard input, exit status 1 when undefined
  echo '{"kind":"mcp"}' | keyward policy eval -I --fail -d . data.keyward.allow`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := e.text(cmd, args)
			if err != nil {
				return err
			}
			return e.run(cmd, query)
		},
	}
	f := cmd.Flags()
	e.source.flags(f)
	e.input.flags(f)
	f.StringVarP(&e.format, "format", "f", "json", strings.Join(evalFormats, ", ")+": as opa prints it")
	f.StringVarP(&e.query.Package, "package", "p", "", "package that the query stands in")
	f.StringArrayVar(&e.query.Imports, "import", nil, "import of the query, such as data.keyward (may be repeated)")
	f.BoolVar(&e.stdin, "stdin", false, "read the query from standard input")
	f.StringVar(&e.explain, "explain", "off", "tell how: off, engine, "+strings.Join(compile.Explanations, ", "))
	f.BoolVar(&e.rules, "rules", false, "name the rules that made the result, with their titles, when the query is a rule")
	f.BoolVar(&e.fail, "fail", false, "fail when the query is undefined")
	f.BoolVar(&e.failDefined, "fail-defined", false, "fail when the query is defined")
	f.BoolVar(&e.query.Strict, "strict-builtin-errors", false, "treat an error in a builtin as an error of the policy")
	f.StringVar(&e.now, "now", "", "time of the decision, RFC 3339 (default now)")
	e.checks.flags(f)
	e.measureFlags.flags(f)
	refuseEvalFlags(f)
	f.DurationVar(&e.timeout, "timeout", 0, "how long the evaluation may take (default no bound but the gateway's)")
	return cmd
}

// text returns the query.
func (e *evalFlags) text(cmd *cobra.Command, args []string) (string, error) {
	switch {
	case e.stdin == (len(args) == 1):
		return "", errors.New("name one query, or --stdin to read it from standard input")
	case e.stdin && e.input.stdin:
		return "", errors.New("query and input can't both come from standard input")
	case e.stdin:
		b, err := readAll(cmd.InOrStdin(), "standard input")
		return string(bytes.TrimSpace(b)), err
	}
	return args[0], nil
}

// An explanation is what happened in an evaluation, step by step.
type explanation interface {
	io.WriterTo
	json.Marshaler
}

// An asked is a query, and what came out.
type asked struct {
	query   string
	src     compile.Source
	text    []byte // of the input
	input   engine.Value
	now     int64
	answers []compile.Answer
	rules   []engine.Rule
	explain explanation // nil: not asked for

	metrics  metrics
	profile  []compile.ExprStats
	coverage json.RawMessage
}

func (e *evalFlags) run(cmd *cobra.Command, query string) error {
	if !slices.Contains(evalFormats, e.format) {
		return fmt.Errorf("format %q is not %s", e.format, strings.Join(evalFormats, ", "))
	}
	x := asked{query: query, metrics: metrics{}}
	var err error
	start := time.Now()
	if x.src, err = e.source.loadAny(); err != nil {
		return err
	}
	x.metrics.since(start, "load_files")
	if err := e.checks.run(x.src); err != nil {
		return err
	}
	start = time.Now()
	if x.text, x.input, err = e.input.read(cmd.InOrStdin()); err != nil {
		return err
	}
	x.metrics.since(start, "input_parse")
	now := time.Now()
	if e.now != "" {
		if now, err = time.Parse(time.RFC3339Nano, e.now); err != nil {
			return err
		}
	}
	x.now = now.UnixNano()
	ctx := cmd.Context()
	if e.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, e.timeout)
		defer cancel()
		ctx = limited
	}
	err = e.ask(ctx, &x)
	if e.explain != "off" {
		if told := e.tell(cmd, &x, err); told != nil {
			return told
		}
	}
	if err != nil {
		return err
	}
	if err := e.measure(cmd, &x); err != nil {
		return err
	}
	if err := x.print(cmd.OutOrStdout(), e.format); err != nil {
		return err
	}
	switch {
	case e.fail && len(x.answers) == 0:
		return fmt.Errorf("%s is undefined", query)
	case e.failDefined && len(x.answers) > 0:
		return fmt.Errorf("%s is defined", query)
	}
	return nil
}

// ask asks the engine: for a rule as the gateway does, so that it can say which
// rules made the result.
func (e *evalFlags) ask(ctx context.Context, x *asked) error {
	if rule := ruleOf(x.query); rulePath.MatchString(x.query) || e.rules {
		return e.askRule(ctx, x, rule)
	}
	start := time.Now()
	q, err := compile.NewQuery(ctx, x.src, x.query, e.query)
	if err != nil {
		return err
	}
	x.metrics.since(start, "query_compile")
	defer x.metrics.since(time.Now(), "query_eval")
	x.answers, err = q.Eval(ctx, x.input, x.now)
	return err
}

func (e *evalFlags) askRule(ctx context.Context, x *asked, rule string) error {
	start := time.Now()
	r, err := compile.Compile(x.src, compile.Options{Entrypoints: []string{rule}, Wide: true})
	if err != nil {
		return err
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		return err
	}
	entry, _ := prog.Entrypoint(rule)
	vm := prog.NewVM(engine.Limits{})
	vm.Strict(e.query.Strict)
	x.metrics.since(start, "query_compile")
	defer x.metrics.since(time.Now(), "query_eval")
	vm.Begin(x.input, x.now)
	defer context.AfterFunc(ctx, vm.Cancel)()
	v, err := vm.Eval(entry)
	if err == nil && !v.IsUndefined() {
		x.answers = []compile.Answer{{Expressions: []compile.Expression{{Value: v.AppendJSON(nil), Text: x.query, Location: compile.Position{Row: 1, Col: 1}}}}}
	}
	if e.rules {
		x.rules = vm.AppendRules(nil)
	}
	return err
}

// tell asks OPA how, and holds its result against the engine's. Of an evaluation
// that failed it prints the steps, as nothing else is printed then.
func (e *evalFlags) tell(cmd *cobra.Command, x *asked, failed error) error {
	var stopped *engine.Error
	if failed != nil && !errors.As(failed, &stopped) {
		return nil // there is nothing to explain: it was not evaluated
	}
	query := ruleQuery(x.query)
	if e.explain == "engine" {
		return e.steps(cmd, x, query, failed)
	}
	theirs, steps, err := compile.ExplainQuery(cmd.Context(), x.src, query, e.query, x.text, x.now, e.explain)
	if steps == nil && err != nil {
		return err
	}
	x.explain = steps
	if failed != nil {
		if _, werr := steps.WriteTo(cmd.OutOrStdout()); werr != nil {
			return werr
		}
	}
	if bounded := stopped != nil && strings.HasSuffix(string(stopped.Code), "_limit"); bounded || compile.Agree(x.answers, failed, theirs, err) {
		return nil
	}
	return fmt.Errorf("the engine gives %s, %v, and OPA %s, %v: one of them is wrong, please report it", jsonText(x.answers), failed, jsonText(theirs), err)
}

// steps has the engine evaluate the query anew, telling its steps.
func (e *evalFlags) steps(cmd *cobra.Command, x *asked, query string, failed error) error {
	_, steps, err := compile.TraceQuery(cmd.Context(), x.src, query, e.query, x.input, x.now)
	if steps == nil {
		return err
	}
	x.explain = steps
	if failed != nil {
		_, err := steps.WriteTo(cmd.OutOrStdout())
		return err
	}
	return nil
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
