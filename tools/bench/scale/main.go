// Command scale measures what grows with the number of consumers, and what must
// not: memory of a VM, look-up, a change of one consumer, and the whole that a
// new gateway reads. A store on SQLite, the Manager's channel and the embedded
// gateway with the real plugins run in this process.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	sizes := flag.String("sizes", "1000,10000,100000", "numbers of consumers, the baseline first")
	targets := flag.Int("targets", 1000, "targets")
	grants := flag.Int("grants", 10, "grants of each consumer")
	out := flag.String("json", "dist/bench-scale.json", "file for the figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *sizes, *targets, *grants, *out); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes string, targets, grants int, out string) error {
	var rows []row
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of consumers", text)
		}
		r, err := measure(ctx, size{consumers: n, targets: targets, grants: grants})
		if err != nil {
			return fmt.Errorf("%d consumers: %w", n, err)
		}
		rows = append(rows, r)
	}
	print(rows)
	b, err := json.MarshalIndent(map[string]any{"rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

// print shows the rows as a table, the first as the baseline.
func print(rows []row) {
	show := func(name, format string, value func(*row) float64) {
		fmt.Printf("| %s |", name)
		for i := range rows {
			v := value(&rows[i])
			fmt.Printf(" "+format+" (%.2fx) |", v, v/value(&rows[0]))
		}
		fmt.Println()
	}
	fmt.Print("| |")
	for i := range rows {
		fmt.Printf(" %d consumers, %d grants |", rows[i].Consumers, rows[i].Grants)
	}
	fmt.Println("\n|---|" + strings.Repeat("--:|", len(rows)))
	show("request of a consumer that the VM has seen, µs", "%.0f", func(r *row) float64 { return r.AgainUS })
	show("request of one that it has not, µs", "%.0f", func(r *row) float64 { return r.FirstUS })
	show("change of one consumer: commit, ms", "%.1f", func(r *row) float64 { return r.CommitMS })
	show("its delta read, ms", "%.1f", func(r *row) float64 { return r.DeltaMS })
	show("in force and confirmed, ms", "%.1f", func(r *row) float64 { return r.ChangeMS })
	show("gate VM after the whole, MB", "%.1f", func(r *row) float64 { return r.GateMB })
	show("gate VM after requests, MB", "%.1f", func(r *row) float64 { return r.GateUsedMB })
	show("key-swap VM after the whole, MB", "%.1f", func(r *row) float64 { return r.SwapMB })
	show("key-swap VM after requests, MB", "%.1f", func(r *row) float64 { return r.SwapUsedMB })
	show("Manager's heap while it reads a whole, MB", "%.1f", func(r *row) float64 { return r.ReadMB })
	show("whole read by the Manager, s", "%.2f", func(r *row) float64 { return r.ReadS })
	show("whole in force at a new gateway, s", "%.2f", func(r *row) float64 { return r.WholeS })
	show("shared data of the process, MB", "%.1f", func(r *row) float64 { return r.SharedMB })
}
