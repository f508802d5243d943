package compile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestOptions of [Test].
type TestOptions struct {
	Run       string        // regular expression that the names of tests must match; "" is all
	Verbose   bool          // report passed tests too, with the trace of failed ones
	Format    string        // "pretty", which "" is, "json" or "junit"
	Timeout   time.Duration // of one test; 0 is OPA's 5 s, or 30 s to measure
	Bench     bool          // measure how long each test takes in OPA; formats also "gobench"
	BenchMem  bool          // and what it allocates
	Count     int           // run the tests so often; 0 is once
	Skipped   bool          // a test that is skipped, todo_test_*, is no failure
	NotEmpty  bool          // that no test runs is a failure
	Coverage  bool          // report coverage as JSON instead
	Threshold float64       // coverage in percent that is not to be missed; only with Coverage
}

// ErrTestsFailed reports that a test of the policy failed, or that coverage was
// below its threshold. What failed has been written.
var ErrTestsFailed = errors.New("tests failed")

// Test runs the tests of a policy, rules called test_*, in OPA, and writes a
// report to w.
func Test(ctx context.Context, src Source, opt TestOptions, w io.Writer) error {
	for range max(opt.Count, 1) {
		if err := testOnce(ctx, src, opt, w); err != nil {
			return err
		}
	}
	return nil
}

func testOnce(ctx context.Context, src Source, opt TestOptions, w io.Writer) error {
	modules, err := parse(src.Modules)
	if err != nil {
		return err
	}
	data := maps.Clone(src.Data)
	if data == nil {
		data = map[string]any{} // the store panics on none
	}
	store := inmem.NewFromObject(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{Write: true})
	if err != nil {
		return err
	}
	defer store.Abort(ctx, txn)
	c := ast.NewCompiler().
		WithCapabilities(Capabilities(true)).
		WithDefaultRegoVersion(ast.RegoV1).
		WithEnablePrintStatements(true).
		WithRewriteTestRules(opt.Verbose)
	coverage := cover.New()
	runner := tester.NewRunner().
		SetCompiler(c).
		SetStore(store).
		SetModules(modules).
		CapturePrintOutput(true).
		SetTimeout(opt.timeout()).
		Filter(opt.Run)
	switch {
	case opt.Coverage:
		runner = runner.SetCoverageQueryTracer(coverage)
	case (opt.Verbose || opt.Format == "junit") && !opt.Bench:
		runner = runner.EnableTracing(true)
	}
	run := runner.RunTests
	if opt.Bench {
		run = func(ctx context.Context, txn storage.Transaction) (chan *tester.Result, error) {
			return runner.RunBenchmarks(ctx, txn, tester.BenchmarkOptions{ReportAllocations: opt.BenchMem})
		}
	}
	results, err := run(ctx, txn)
	if err != nil {
		return asErrors(err)
	}
	failed, ran := false, false
	seen := make(chan *tester.Result)
	go func() {
		defer close(seen)
		for r := range results {
			ran = true
			failed = failed || !r.Pass() && !(r.Skip && opt.Skipped)
			seen <- r
		}
	}()
	reporter, err := testReporter(opt, w, coverage, modules)
	if err == nil {
		err = reporter.Report(seen)
	}
	for range seen { // failed is settled once this has ended
	}
	var below *cover.CoverageThresholdError
	switch {
	case errors.As(err, &below):
		fmt.Fprintln(w, err)
		return ErrTestsFailed
	case err != nil:
		return err
	case failed, opt.NotEmpty && !ran:
		return ErrTestsFailed
	}
	return nil
}

func (o TestOptions) timeout() time.Duration {
	if o.Bench {
		return cmp.Or(o.Timeout, 30*time.Second)
	}
	return cmp.Or(o.Timeout, 5*time.Second)
}

func testReporter(opt TestOptions, w io.Writer, coverage *cover.Cover, modules map[string]*ast.Module) (tester.Reporter, error) {
	switch {
	case opt.Coverage:
		return tester.JSONCoverageReporter{Cover: coverage, Modules: modules, Output: w, Threshold: opt.Threshold, Verbose: opt.Verbose}, nil
	case opt.Format == "" || opt.Format == "pretty":
		return tester.PrettyReporter{Output: w, Verbose: opt.Verbose, BenchmarkResults: opt.Bench, BenchMarkShowAllocations: opt.BenchMem}, nil
	case opt.Bench && opt.Format == "gobench":
		return tester.PrettyReporter{Output: w, BenchmarkResults: true, BenchMarkShowAllocations: opt.BenchMem, BenchMarkGoBenchFormat: true}, nil
	case opt.Format == "json":
		return tester.JSONReporter{Output: w}, nil
	case opt.Format == "junit":
		return junitReporter{w}, nil
	}
	return nil, fmt.Errorf("format %q is not pretty, json or junit", opt.Format)
}
