package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

// evalFormats are how answers can be printed.
var evalFormats = []string{"json", "pretty", "values", "bindings", "raw", "discard"}

func (x *asked) print(w io.Writer, format string) error {
	if format == "json" || format == "discard" {
		return x.printJSON(w, format == "discard")
	}
	if x.explain != nil {
		if _, err := x.explain.WriteTo(w); err != nil {
			return err
		}
	}
	for _, r := range x.rules {
		fmt.Fprintln(w, strings.TrimSpace("# "+r.Name+" "+r.Title))
	}
	if format == "pretty" {
		return errors.Join(x.printPretty(w), x.printMeasured(w))
	}
	for _, a := range x.answers {
		if err := printAnswer(w, a, format); err != nil {
			return err
		}
	}
	return nil
}

func (x *asked) printJSON(w io.Writer, discard bool) error {
	out := map[string]any{}
	switch {
	case len(x.answers) > 0 && discard:
		out["result"] = "discarded"
	case len(x.answers) > 0:
		out["result"] = x.answers
	}
	if x.rules != nil {
		out["rules"] = ruleList(x.rules)
	}
	if x.explain != nil {
		out["explanation"] = x.explain
	}
	if x.metrics != nil {
		out["metrics"] = x.metrics
	}
	if x.profile != nil {
		out["profile"] = x.profile
	}
	if x.coverage != nil {
		out["coverage"] = x.coverage
	}
	return writeIndented(w, out)
}

func (x *asked) printPretty(w io.Writer) error {
	switch n := len(x.answers); {
	case n == 0:
		_, err := fmt.Fprintln(w, "undefined")
		return err
	case n == 1 && len(x.answers[0].Bindings) == 0 && (len(x.answers[0].Expressions) == 1 || allTrue(x.answers[0].Expressions)):
		return writeIndented(w, x.answers[0].Expressions[0].Value)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	names := slices.Sorted(maps.Keys(x.answers[0].Bindings))
	var shown []int // expressions that are more than true
	for i := range x.answers[0].Expressions {
		if slices.ContainsFunc(x.answers, func(a compile.Answer) bool { return !isTrue(a.Expressions[i]) }) {
			shown = append(shown, i)
		}
	}
	head := slices.Clone(names)
	for _, i := range shown {
		head = append(head, x.answers[0].Expressions[i].Text)
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, a := range x.answers {
		var cells []string
		for _, name := range names {
			cells = append(cells, string(a.Bindings[name]))
		}
		for _, i := range shown {
			cells = append(cells, string(a.Expressions[i].Value))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

func allTrue(list []compile.Expression) bool {
	return !slices.ContainsFunc(list, func(e compile.Expression) bool { return !isTrue(e) })
}

func isTrue(e compile.Expression) bool { return string(e.Value) == "true" }

// printAnswer prints one answer as values, as bindings, or raw: each answer on a
// line, and texts as they are.
func printAnswer(w io.Writer, a compile.Answer, format string) error {
	switch format {
	case "bindings":
		if a.Bindings == nil {
			_, err := fmt.Fprintln(w, "{}")
			return err
		}
		return writeIndented(w, a.Bindings)
	case "values":
		values := make([]json.RawMessage, len(a.Expressions))
		for i, e := range a.Expressions {
			values[i] = e.Value
		}
		return writeIndented(w, values)
	}
	parts := make([][]byte, len(a.Expressions))
	for i, e := range a.Expressions {
		parts[i] = e.Value
		var s string
		if json.Unmarshal(e.Value, &s) == nil {
			parts[i] = []byte(s)
		}
	}
	_, err := fmt.Fprintf(w, "%s\n", bytes.Join(parts, []byte{' '}))
	return err
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
