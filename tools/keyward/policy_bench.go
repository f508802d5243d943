package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

// benchFlags are the flags of `policy bench`.
type benchFlags struct {
	source policySource
	input  policyInput
	format string
	rounds int
}

func newPolicyBench() *cobra.Command {
	var b benchFlags
	cmd := &cobra.Command{
		Use:   "bench <rule>",
		Short: "Measure how long a rule takes, beside OPA",
		Long: `Measure how long a rule takes in the gateway's engine and in OPA, with a prepared
query: in turns, so that what else the machine does falls on both alike, and each
with and without reading the input. Times are medians.`,
		Example: `  keyward policy bench -d policy.rego -i input.json data.keyward.allow

  # as Go's benchmarks, for benchstat
  keyward policy bench -f gobench --count 10 -d policy.rego -i input.json keyward/allow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.run(cmd, args[0])
		},
	}
	f := cmd.Flags()
	b.source.flags(f)
	b.input.flags(f)
	f.StringVarP(&b.format, "format", "f", "pretty", "pretty, json or gobench")
	refuseBenchFlags(f)
	f.IntVar(&b.rounds, "count", 5, "measure each so many times a tenth of a second")
	return cmd
}

// A contender is one way to evaluate the rule.
type contender struct {
	Name   string  `json:"name"`
	Micros float64 `json:"us"` // a decision: the median of all rounds
	Allocs uint64  `json:"allocs"`
	Bytes  uint64  `json:"bytes"`
	N      int     `json:"n"` // decisions measured

	decide func() error
	took   []float64
}

func (b *benchFlags) run(cmd *cobra.Command, query string) error {
	if !slices.Contains([]string{"pretty", "json", "gobench"}, b.format) {
		return fmt.Errorf("format %q is not pretty, json or gobench", b.format)
	}
	if b.rounds < 1 {
		return fmt.Errorf("--count is %d, less than 1", b.rounds)
	}
	src, err := b.source.load(nil, false)
	if err != nil {
		return err
	}
	text, input, err := b.input.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	list, err := contenders(cmd.Context(), src, ruleOf(query), text, input)
	if err != nil {
		return err
	}
	for range b.rounds {
		for _, c := range list {
			if err := c.round(cmd.Context()); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	for _, c := range list {
		slices.Sort(c.took)
		c.Micros = c.took[len(c.took)/2]
	}
	return b.print(cmd.OutOrStdout(), list)
}

func contenders(ctx context.Context, src compile.Source, rule string, text []byte, input engine.Value) ([]*contender, error) {
	r, err := compile.Compile(src, compile.Options{Entrypoints: []string{rule}, Wide: true})
	if err != nil {
		return nil, err
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		return nil, err
	}
	entry, _ := prog.Entrypoint(rule)
	vm := prog.NewVM(engine.Limits{})
	decide := func(v engine.Value) error {
		vm.Begin(v, 0)
		_, err := vm.Eval(entry)
		return err
	}
	opa, err := compile.NewTopdown(src, rule, false)
	if err != nil {
		return nil, err
	}
	prepared, err := opa.Prepare(text)
	if err != nil {
		return nil, err
	}
	var reader engine.JSONReader
	list := []*contender{
		{Name: "opa", decide: func() error { return prepared(ctx) }},
		{Name: "engine", decide: func() error { return decide(input) }},
	}
	if text != nil {
		list = append(list,
			&contender{Name: "opa-json", decide: func() error { _, err := opa.Eval(ctx, text, 0); return err }},
			&contender{Name: "engine-json", decide: func() error {
				v, err := reader.Read(text, inputLimits)
				if err != nil {
					return err
				}
				return decide(v)
			}})
	}
	return list, nil
}

// round decides for a tenth of a second.
func (c *contender) round(ctx context.Context) error {
	const length = 100 * time.Millisecond
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, n := time.Now(), 0
	for batch := 1; time.Since(start) < length; batch = min(2*batch, 1024) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for range batch {
			if err := c.decide(); err != nil {
				return err
			}
		}
		n += batch
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	c.N += n
	c.Allocs, c.Bytes = (after.Mallocs-before.Mallocs)/uint64(n), (after.TotalAlloc-before.TotalAlloc)/uint64(n)
	c.took = append(c.took, float64(took.Nanoseconds())/1e3/float64(n))
	return nil
}

func (b *benchFlags) print(w io.Writer, list []*contender) error {
	switch b.format {
	case "json":
		return writeIndented(w, list)
	case "gobench":
		for _, c := range list {
			for _, us := range c.took {
				fmt.Fprintf(w, "BenchmarkPolicy/%s\t%d\t%.1f ns/op\t%d B/op\t%d allocs/op\n", c.Name, c.N/len(c.took), us*1e3, c.Bytes, c.Allocs)
			}
		}
		return nil
	}
	var err error
	for i, c := range list {
		_, werr := fmt.Fprintf(w, "%-12s %10.2f µs %8d B %6d allocations", c.Name, c.Micros, c.Bytes, c.Allocs)
		err = errors.Join(err, werr)
		if i%2 == 1 {
			fmt.Fprintf(w, "   %.0f times as fast", list[i-1].Micros/c.Micros)
		}
		fmt.Fprintln(w)
	}
	return err
}
