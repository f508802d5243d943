package compile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"

	"keyward/policies/engine"
)

// An ExprStats is what one row of a policy cost, in the form of `opa eval --profile`.
type ExprStats struct {
	Nanos    int64   `json:"total_time_ns"`
	Evals    int     `json:"num_eval"`
	Redos    int     `json:"num_redo"`
	Exprs    int     `json:"num_gen_expr"` // expressions in the row
	Location FileRow `json:"location"`
}

// A FileRow is a row of a file.
type FileRow struct {
	File string `json:"file"`
	Row  int    `json:"row"`
}

// ProfileQuery has the engine evaluate a query, and tells what each row cost. It
// runs the plan as it is, which takes longer than the program that is made of it:
// the shares count, not the times.
func ProfileQuery(ctx context.Context, src Source, text string, opt QueryOptions, input engine.Value, now int64) ([]ExprStats, error) {
	rows := map[FileRow]*ExprStats{}
	texts := map[FileRow]map[string]bool{}
	var last *ExprStats
	var since time.Time
	opt.trace = func(e engine.Event) {
		if last != nil {
			last.Nanos += time.Since(since).Nanoseconds()
		}
		at := FileRow{e.File, e.Row}
		s := rows[at]
		if s == nil {
			s = &ExprStats{Location: at}
			rows[at], texts[at] = s, map[string]bool{}
		}
		switch e.Step {
		case engine.StepEval:
			s.Evals++
			if !texts[at][e.Text] {
				texts[at][e.Text] = true
				s.Exprs++
			}
		case engine.StepRedo:
			s.Redos++
		}
		last, since = s, time.Now()
	}
	q, err := NewQuery(ctx, src, text, opt)
	if err != nil {
		return nil, err
	}
	if _, err := q.Eval(ctx, input, now); err != nil {
		return nil, err
	}
	list := make([]ExprStats, 0, len(rows))
	for _, s := range rows {
		if s.Evals+s.Redos > 0 {
			list = append(list, *s)
		}
	}
	return list, nil
}

// ProfileOrders are what [SortProfile] sorts by.
var ProfileOrders = []string{"total_time_ns", "num_eval", "num_redo", "num_gen_expr", "file", "line"}

// SortProfile sorts by the given orders, one after the other, as opa does: files and
// lines from the first, all else from the largest.
func SortProfile(list []ExprStats, by ...string) error {
	by = append(by, "total_time_ns", "file", "line")
	for _, order := range by {
		if !slices.Contains(ProfileOrders, order) {
			return fmt.Errorf("order %q is not %s", order, strings.Join(ProfileOrders, ", "))
		}
	}
	slices.SortFunc(list, func(a, b ExprStats) int {
		for _, order := range by {
			c := 0
			switch order {
			case "total_time_ns":
				c = cmp.Compare(b.Nanos, a.Nanos)
			case "num_eval":
				c = cmp.Compare(b.Evals, a.Evals)
			case "num_redo":
				c = cmp.Compare(b.Redos, a.Redos)
			case "num_gen_expr":
				c = cmp.Compare(b.Exprs, a.Exprs)
			case "file":
				c = cmp.Compare(a.Location.File, b.Location.File)
			case "line":
				c = cmp.Compare(a.Location.Row, b.Location.Row)
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}

// CoverQuery returns how much of the policy OPA evaluates for a query, in the form
// of `opa eval --coverage`.
func CoverQuery(ctx context.Context, src Source, text string, opt QueryOptions, input []byte, now int64) (json.RawMessage, error) {
	v, err := inputValue(input)
	if err != nil {
		return nil, err
	}
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
	}
	r, err := newRego(src, text, opt)
	if err != nil {
		return nil, err
	}
	q, err := r.PrepareForEval(ctx)
	if err != nil {
		return nil, asErrors(err)
	}
	seen := cover.New()
	opts := []rego.EvalOption{rego.EvalQueryTracer(seen), rego.EvalTime(time.Unix(0, now))}
	if v != nil {
		opts = append(opts, rego.EvalParsedInput(v))
	}
	if _, err := q.Eval(ctx, opts...); err != nil {
		return nil, err
	}
	return json.Marshal(seen.Report(modules))
}
