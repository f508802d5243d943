// Command engine measures the policy engine beside OPA's topdown: the same
// policies, the same inputs, in turns within one run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

// A row is the result for one policy; times are medians in µs a decision.
type row struct {
	Policy       string  `json:"policy"`
	OPA          float64 `json:"opa_us"`
	Engine       float64 `json:"engine_us"`
	OPAJSON      float64 `json:"opa_json_us"`
	EngineJSON   float64 `json:"engine_json_us"`
	EngineWasm   float64 `json:"engine_wasm_us"` // from JSON text on
	OPAAllocs    float64 `json:"opa_allocs"`
	EngineAllocs float64 `json:"engine_allocs"`
	LoadWasm     float64 `json:"load_wasm_ms"`

	Spread spread `json:"quartiles"`
}

// A spread is the first and third quartile of each time, under its name.
type spread map[string][2]float64

func main() {
	jsonFile := flag.String("json", "", "write the results as JSON to this `file`")
	tableFile := flag.String("table", "", "write the results as a table to this `file`")
	only := flag.String("only", "", "measure the policies whose name contains this `text`")
	rounds := flag.Int("rounds", 101, "measure each `n` times")
	round := flag.Duration("round", 1500*time.Microsecond, "how `long` one measurement takes")
	flag.Parse()
	if err := run(context.Background(), *jsonFile, *tableFile, *only, *rounds, *round); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, jsonFile, tableFile, only string, rounds int, round time.Duration) error {
	all, err := cases("policy.rego")
	if err != nil {
		return err
	}
	g, err := newGuest(ctx)
	if err != nil {
		return err
	}
	defer g.runtime.Close(ctx)
	var rows []row
	for _, c := range all {
		if !strings.Contains(c.name, only) {
			continue
		}
		r, err := measureCase(ctx, g, c, rounds, round)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, r.Spread)
		rows = append(rows, r)
	}
	text := table(rows)
	fmt.Print(text)
	if tableFile != "" {
		old, err := os.ReadFile(tableFile)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if i := strings.Index(string(old), "\n## "); i >= 0 {
			text += string(old[i:]) // what people wrote below the table
		}
		if err := os.WriteFile(tableFile, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if jsonFile == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string][]row{"rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(b, '\n'), 0o644)
}

func measureCase(ctx context.Context, g *guest, c policyCase, rounds int, round time.Duration) (row, error) {
	compiled, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": c.policy}, Data: c.data}, compile.Options{Wide: true})
	if err != nil {
		return row{}, err
	}
	byOPA, err := opa(ctx, c, compiled.Entrypoints)
	if err != nil {
		return row{}, err
	}
	byEngine, err := native(compiled)
	if err != nil {
		return row{}, err
	}
	inWasm, load, err := g.loaded(ctx, compiled.Program, c.input)
	if err != nil {
		return row{}, err
	}
	opaValue, err := opaInput(c.input)
	if err != nil {
		return row{}, err
	}
	text := []byte(c.input)
	value, err := engine.ParseJSON(text, engine.JSONLimits{})
	if err != nil {
		return row{}, err
	}
	var reader engine.JSONReader
	subjects := []*subject{
		{name: "opa_us", run: times(func() error { return byOPA(opaValue) })},
		{name: "engine_us", run: times(func() error { return byEngine(value) })},
		{name: "opa_json_us", run: times(func() error {
			v, err := opaInput(c.input)
			if err != nil {
				return err
			}
			return byOPA(v)
		})},
		{name: "engine_json_us", run: times(func() error {
			v, err := reader.Read(text, engine.JSONLimits{})
			if err != nil {
				return err
			}
			return byEngine(v)
		})},
		{name: "engine_wasm_us", run: inWasm},
	}
	if err := measure(subjects, rounds, round); err != nil {
		return row{}, err
	}
	r := row{
		Policy: c.name, OPA: subjects[0].median(), Engine: subjects[1].median(), OPAJSON: subjects[2].median(),
		EngineJSON: subjects[3].median(), EngineWasm: subjects[4].median(), LoadWasm: load.Seconds() * 1e3,
		OPAAllocs: allocs(subjects[0]), EngineAllocs: allocs(subjects[1]), Spread: spread{},
	}
	for _, s := range subjects {
		r.Spread[s.name] = [2]float64{s.quantile(0.25), s.quantile(0.75)}
	}
	return r, nil
}

// allocs returns how many allocations one decision makes.
func allocs(s *subject) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = s.run(s.n) // it ran before without an error
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(s.n)
}

func times(once func() error) func(int) error {
	return func(n int) error {
		for range n {
			if err := once(); err != nil {
				return err
			}
		}
		return nil
	}
}

// table is the results in Markdown.
func table(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The engine beside OPA

Medians in µs a decision, of rounds in turns on one machine (%s/%s, %d CPUs, %s);
in brackets how many times as fast as OPA's topdown with a prepared query. The baseline
compares one member of the default policy's input.
`+"`make bench-engine`"+` measures anew.

`, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	b.WriteString("| Policy | OPA | Engine | OPA, with JSON | Engine, with JSON | Engine in wasm (wazero), with JSON | Allocations: OPA, engine | Load in wasm, ms |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|\n")
	ratios := map[string][]float64{}
	for _, r := range rows {
		ratios["evaluation"] = append(ratios["evaluation"], r.OPA/r.Engine)
		ratios["JSON"] = append(ratios["JSON"], r.OPAJSON/r.EngineJSON)
		ratios["wasm"] = append(ratios["wasm"], r.OPAJSON/r.EngineWasm)
		fmt.Fprintf(&b, "| %s | %.1f | %.2f (%.0f×) | %.1f | %.2f (%.0f×) | %.1f (%.1f×) | %.0f, %.0f | %.1f |\n", r.Policy,
			r.OPA, r.Engine, r.OPA/r.Engine, r.OPAJSON, r.EngineJSON, r.OPAJSON/r.EngineJSON, r.EngineWasm, r.OPAJSON/r.EngineWasm, r.OPAAllocs, r.EngineAllocs, r.LoadWasm)
	}
	fmt.Fprintf(&b, "| median of the ratios | | %.0f× | | %.0f× | %.1f× | | |\n", median(ratios["evaluation"]), median(ratios["JSON"]), median(ratios["wasm"]))
	b.WriteString("\nFrom the first to the third quartile, in µs:\n\n| Policy | OPA | Engine | OPA, with JSON | Engine, with JSON | Engine in wasm, with JSON |\n|---|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |", r.Policy)
		for _, name := range []string{"opa_us", "engine_us", "opa_json_us", "engine_json_us", "engine_wasm_us"} {
			fmt.Fprintf(&b, " %.2f–%.2f |", r.Spread[name][0], r.Spread[name][1])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
