// Command bench measures what Keyward's plugins cost in a real Envoy, beside
// an Envoy without plugins, an empty plugin and two peers, all in one run.
//
// It prints one table and writes dist/bench.json, or what -json names; with -record also
// docs/results/bench-DATE.md. Run `make plugins` before it. What it installs
// and builds on the way (Envoy, the peers) is kept in the user's cache folder.
//
// # Method
//
// Every row is an Envoy process of its own with one worker thread, all alive at
// the same time. A round sends the same number of requests to each row in turn,
// so that what else the machine does meets all rows alike; figures are medians
// over the rounds. The CPU time is that of the whole Envoy process, from
// /proc/PID/stat. The upstream is a server in this process and takes part in
// every row, because some plugins work on answers too: its cost is not in the
// CPU figure, and its part of the latency is the same in every row.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"keyward/tools/bench/sheet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Options say how much is measured.
type options struct {
	rounds      int // of the interleaved rows
	requests    int // per row and round
	warmup      int // requests per row before the first round: V8 compiles what is hot
	connections int // that send requests, each one at a time
	compiles    int // timed wazero compilations per plugin
	rows        map[string]bool
	json        string // file to write
	recording   string // file to add the cost of recording to; "": none
	record      bool
}

var (
	full  = options{rounds: 7, requests: 10_000, warmup: 10_000, connections: 4, compiles: 3}
	quick = options{rounds: 3, requests: 2_000, warmup: 2_000, connections: 4, compiles: 1}
)

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	fast := flags.Bool("quick", false, "few and short rounds: shows that all works, its figures are rough")
	rounds := flags.Int("rounds", 0, "number of rounds, at least 1 (0: 7, or 3 with -quick)")
	requests := flags.Int("requests", 0, "requests of a row in a round (0: 10000, or 2000 with -quick)")
	connections := flags.Int("connections", 0, "connections that send requests, each one at a time (0: 4)")
	rows := flags.String("rows", "", "measure only these rows and none, separated by commas (empty: all)")
	json := flags.String("json", "dist/bench.json", "`file` to write")
	recording := flags.String("recording", "", "`file` with a JSON object to which the cost of recording is added; plugins' sizes are not measured then")
	record := flags.Bool("record", false, "write the table to docs/results/bench-DATE.md too")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := full
	if *fast {
		o = quick
	}
	if *rounds > 0 {
		o.rounds = *rounds
	}
	if *requests > 0 {
		o.requests = *requests
	}
	if *connections > 0 {
		o.connections = *connections
	}
	o.json, o.recording, o.record = *json, *recording, *record
	if *rows != "" {
		o.rows = map[string]bool{"none": true}
		for name := range strings.SplitSeq(*rows, ",") {
			o.rows[name] = true
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	result, err := bench(ctx, o)
	if err != nil {
		return err
	}
	fmt.Print("\n", result.table())
	if err := result.writeJSON(o.json); err != nil {
		return err
	}
	if o.recording != "" {
		if !result.recorded {
			return errors.New("-recording: rows chain-mcp and chain-mcp+records were not measured")
		}
		if err := sheet.Merge(o.recording, result.recording); err != nil {
			return err
		}
	}
	if o.record {
		return result.writeRecord("docs/results", time.Now())
	}
	return nil
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
