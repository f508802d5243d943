package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Bars are what the chain of both plugins is held against: the CPU time that it
// adds to an MCP call, over the time that a peer adds to the same call.
var bars = []struct {
	peer, says string
	most       float64
}{
	{"peer-transformer", "Higress' transformer doing one header edit", 1},
	{"peer-topdown", "OPA's topdown in a plugin", 1.0 / 3},
}

// mostRecording is the share of the chain's time that recording may add.
const mostRecording = 0.05

// Limits of one plugin.
const (
	mostBytes   = 4 << 20
	mostCompile = 2 * time.Second
	mostVMBytes = 15 << 20
)

// table is the result for a terminal.
func (r *result) table() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "row\tCPU us/request\tleast..most\tadded\tp50 us\tp99 us\t")
	for _, f := range r.rows {
		added, _ := r.added(f.name)
		fmt.Fprintf(w, "%s\t%.1f\t%.1f..%.1f\t%+.1f\t%.0f\t%.0f\t\n", f.name, f.cpu, f.least, f.most, added, f.p50, f.p99)
	}
	fmt.Fprintln(w, "\t\t\t\t\t\t")
	fmt.Fprintln(w, "plugin\twasm kB\tcompile ms\tMB per VM\t\t\t")
	for _, p := range r.plugins {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t\t\t\n", p.name, p.bytes/1000, p.compile.Milliseconds(), float64(p.vmBytes)/1e6)
	}
	w.Flush()
	for _, line := range r.verdicts() {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// verdicts say for each bar whether it is met.
func (r *result) verdicts() []string {
	var lines []string
	chain, ok := r.added("chain-mcp")
	for _, bar := range bars {
		peer, has := r.added(bar.peer)
		if !ok || !has || peer <= 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: chain-mcp adds %.2f of what %s adds; at most %.2f",
			met(chain/peer <= bar.most), chain/peer, bar.says, bar.most))
	}
	if recorded, ok := r.added(recordedRow); ok && chain > 0 {
		share := recorded/chain - 1
		lines = append(lines, fmt.Sprintf("%s: recording adds %.1f %% to what chain-mcp takes of the CPU; at most %.0f", met(share <= mostRecording), 100*share, 100*mostRecording))
	}
	if r.recorded {
		lines = append(lines, r.recording.String())
	}
	for _, p := range r.plugins {
		if p.name != "gate" && p.name != "key-swap" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s has %.2f MiB of wasm (at most %d), compiles in %.1f s (%.0f), takes %.1f MiB per VM (%d)",
			met(p.bytes <= mostBytes && p.compile <= mostCompile && p.vmBytes <= mostVMBytes), p.name,
			mebi(int64(p.bytes)), mostBytes>>20, p.compile.Seconds(), mostCompile.Seconds(), mebi(p.vmBytes), mostVMBytes>>20))
	}
	return lines
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}

func mebi(n int64) float64 { return float64(n) / (1 << 20) }

// writeRecord keeps the result as a page of dir.
func (r *result) writeRecord(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "bench-"+now.Format(time.DateOnly)+".md")
	return os.WriteFile(name, []byte(r.page(now)), 0o644)
}

func (r *result) page(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Cost of the plugins, %s\n\n", now.Format(time.DateOnly))
	fmt.Fprintf(&b, "`make bench` on %s, %d CPUs, %s, Envoy 1.40 (%s) with one worker thread a row: medians of %d interleaved rounds of %d requests over %d connections.\n",
		cpuModel(), runtime.NumCPU(), runtime.Version(), envoyPackage, r.options.rounds, r.options.requests, r.options.connections)
	b.WriteString("CPU is that of the whole Envoy process per request (utime + stime of /proc/PID/stat); latency is a closed loop's and holds the upstream's part, the same in every row.\n")
	b.WriteString("Requests and answers have a body of 1 KB.\n\n")
	b.WriteString("| row | CPU us/request | least..most | added us | p50 us | p99 us |\n|---|--:|--:|--:|--:|--:|\n")
	for _, f := range r.rows {
		added, _ := r.added(f.name)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f..%.1f | %+.1f | %.0f | %.0f |\n", f.name, f.cpu, f.least, f.most, added, f.p50, f.p99)
	}
	b.WriteString("\n| plugin | wasm bytes | compiled by wazero, ms | memory per VM, bytes |\n|---|--:|--:|--:|\n")
	for _, p := range r.plugins {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", p.name, p.bytes, p.compile.Milliseconds(), p.vmBytes)
	}
	b.WriteString("\n")
	for _, line := range r.verdicts() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString(legend)
	return b.String()
}

const legend = `
What the rows are:

- none: no plugin. floor: one empty plugin, whose callbacks do nothing; floor x2: two of them.
- gate: an allowed tools/call, decided. key-swap: the verdict read, the key put in, the answer searched for it.
  key-swap alone refuses everything, so it is measured behind a stamp, a plugin that only sets the verdict, and the stamp's share is taken off.
- chain-mcp, chain-llm: both plugins, an allowed tools/call and an allowed chat completion.
- peer-transformer: Higress' transformer 2.0.0 adding one request header. peer-topdown: OPA's own evaluator in a plugin, with the same policy and input as gate; it checks no token.
- Memory per VM: what one more worker thread adds to an Envoy, less what it adds without the plugin, after 1000 requests on each worker.
`

// cpuModel is the processor's name, as far as Linux tells it.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
