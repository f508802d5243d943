package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyward/policies/compile"
)

// measureFlags are the flags of `policy eval` that say what to measure.
type measureFlags struct {
	metrics, profile, coverage bool
	limit                      int
	sort                       []string
}

func (m *measureFlags) flags(f *pflag.FlagSet) {
	f.BoolVar(&m.metrics, "metrics", false, "tell how long each part took")
	f.BoolVar(&m.profile, "profile", false, "tell what each row of the policy cost in the engine, step by step")
	f.IntVar(&m.limit, "profile-limit", 10, "so many rows of the profile; 0 is all")
	f.StringSliceVar(&m.sort, "profile-sort", nil, "order of the profile (may be repeated): total_time_ns, num_eval, num_redo, num_gen_expr, file or line")
	f.BoolVar(&m.coverage, "coverage", false, "tell which rows of the policy OPA evaluates")
}

// metrics are times in nanoseconds, by the names that opa gives them.
type metrics map[string]int64

// since notes how long a part took that began at start.
func (m metrics) since(start time.Time, name string) {
	m["timer_rego_"+name+"_ns"] += time.Since(start).Nanoseconds()
}

// measure adds what was asked for to an evaluation that went well.
func (e *evalFlags) measure(cmd *cobra.Command, x *asked) error {
	query := ruleQuery(x.query)
	if e.profile || len(e.sort) > 0 {
		list, err := compile.ProfileQuery(cmd.Context(), x.src, query, e.query, x.input, x.now)
		if err != nil {
			return err
		}
		if err := compile.SortProfile(list, e.sort...); err != nil {
			return err
		}
		if e.limit > 0 {
			list = list[:min(e.limit, len(list))]
		}
		x.profile = list
	}
	if e.coverage {
		var err error
		if x.coverage, err = compile.CoverQuery(cmd.Context(), x.src, query, e.query, x.text, x.now); err != nil {
			return err
		}
	}
	if !e.metrics {
		x.metrics = nil
	}
	return nil
}

// printMeasured prints what was measured for people.
func (x *asked) printMeasured(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, name := range slices.Sorted(maps.Keys(x.metrics)) {
		fmt.Fprintf(t, "%d\t %s\n", x.metrics[name], name)
	}
	if len(x.profile) > 0 {
		fmt.Fprintln(t, "TIME\tEVAL\tREDO\tEXPR\t LOCATION")
	}
	for _, s := range x.profile {
		fmt.Fprintf(t, "%v\t%d\t%d\t%d\t %s:%d\n", time.Duration(s.Nanos), s.Evals, s.Redos, s.Exprs, s.Location.File, s.Location.Row)
	}
	if err := t.Flush(); err != nil || x.coverage == nil {
		return err
	}
	return writeIndented(w, x.coverage)
}
