package compile

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"keyward/policies/engine"
)

// Steps are what the engine itself did for a query, step by step.
type Steps []engine.Event

// maxSteps bounds what is remembered of an evaluation, and maxTold an evaluation
// that tells its steps, in instructions.
const (
	maxSteps = 1 << 20
	maxTold  = 4 << 20
)

// TraceQuery has the engine evaluate a query, and returns its steps: also when that
// ended in an error, an [*engine.Error]. It runs the plan as it is, without what
// makes a program fast.
func TraceQuery(ctx context.Context, src Source, text string, opt QueryOptions, input engine.Value, now int64) ([]Answer, Steps, error) {
	steps := Steps{}
	opt.trace = func(e engine.Event) {
		if len(steps) < maxSteps {
			steps = append(steps, e)
		}
	}
	q, err := NewQuery(ctx, src, text, opt)
	if err != nil {
		return nil, nil, err
	}
	answers, err := q.Eval(ctx, input, now)
	return answers, steps, err
}

// WriteTo writes the steps, with their places and with the values that a result
// was, or that did not fit.
func (s Steps) WriteTo(w io.Writer) (int64, error) {
	wide := 0
	for _, e := range s {
		wide = max(wide, len(e.Location.String()))
	}
	var b strings.Builder
	for _, e := range s {
		b.WriteString(e.Location.String())
		b.WriteString(strings.Repeat(" ", wide-len(e.Location.String())+1))
		b.WriteString(strings.Repeat("| ", max(e.Depth-1, 0)))
		b.WriteString(e.Step.String() + " ")
		text, more, _ := strings.Cut(e.Text, "\n")
		b.WriteString(text)
		if more != "" {
			b.WriteString(" …")
		}
		for i, v := range e.Values {
			b.WriteString([]string{"  # ", ", "}[min(i, 1)])
			b.WriteString(v.String())
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// MarshalJSON writes the steps as a list of objects, as [Explanation] does.
func (s Steps) MarshalJSON() ([]byte, error) {
	type step struct {
		Op       string   `json:"op"`
		Node     string   `json:"node,omitempty"`
		Message  string   `json:"message,omitempty"`
		Location string   `json:"location,omitempty"`
		Depth    int      `json:"depth"`
		Values   []string `json:"values,omitempty"` // as JSON; "undefined" where there is none
	}
	list := make([]step, len(s))
	for i, e := range s {
		list[i] = step{Op: e.Step.String(), Location: e.Location.String(), Depth: e.Depth}
		if e.Step == engine.StepNote {
			list[i].Message = e.Text
		} else {
			list[i].Node = e.Text
		}
		for _, v := range e.Values {
			list[i].Values = append(list[i].Values, v.String())
		}
	}
	return json.Marshal(list)
}
