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

// print shows the rows as a table, each beside the first.
func print(rows []row) {
	fmt.Println("| consumers | grants | read whole, s | change in force, ms (max) | look-up, µs | gate VM, MB | key-swap VM, MB |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range rows {
		fmt.Printf("| %d | %d | %.1f | %.1f (%.1f) | %.0f (%.2fx) | %.1f | %.1f |\n", r.Consumers, r.Grants, r.WholeS,
			r.ChangeMS, r.ChangeMaxMS, r.LookupUS, r.LookupUS/rows[0].LookupUS, r.GateMB, r.SwapMB)
	}
}
