package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyward/policies"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyward": main, "edit": edit})
}

// edit is an editor for tests: it replaces OLD by NEW in its last file.
func edit() {
	if err := replaceInFile(os.Args[len(os.Args)-1], os.Getenv("OLD"), os.Getenv("NEW")); err != nil {
		panic(err)
	}
}

// TestScripts runs the command line against a Manager, each script with its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			m := newTestManager(e.T().(testing.TB))
			e.Setenv(envManager, m.url)
			e.Setenv(envTokenFile, m.token)
			e.Values["manager"] = m
			return os.WriteFile(filepath.Join(e.WorkDir, "log.key.pub"), []byte(m.logKey+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"get-id": getID, "record": recordCall},
	})
}

// TestPolicyScripts runs what needs no Manager.
func TestPolicyScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/policy"})
}

// getID sets a variable to the last line of the output of the command before,
// which -o name makes an id.
func getID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: get-id VARIABLE")
	}
	ts.Setenv(args[0], lastLine(ts.ReadFile("stdout")))
}

// recordCall is what a gateway does: it puts the decision of a call into the log, by
// its number, consumer, tool, reason of a denial or "allow", and deciding rule.
func recordCall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: record NUMBER CONSUMER TOOL allow|REASON RULE")
	}
	n, err := strconv.ParseUint(args[0], 10, 63)
	ts.Check(err)
	ts.Check(ts.Value("manager").(testManager).record(n, args[1], args[2], policies.Reason(args[3]), args[4]))
}

func (m testManager) record(n uint64, consumer, tool string, reason policies.Reason, rule string) error {
	r := policies.Record{
		Type: policies.RecordDecision, ID: fmt.Sprintf("01J%d", n), Time: time.Now().UTC(), Sequence: n, Kind: policies.KindMCP,
		Consumer: consumer, Target: "github", Method: "tools/call", Name: tool, Verdict: policies.Allow, Rules: []string{rule},
	}
	if reason != "allow" {
		r.Verdict, r.Reason = policies.Deny, reason
	}
	return m.store.AppendRecords(m.t.Context(), "edge", "a.1", []policies.Record{r})
}

func lastLine(s string) string {
	lines := strings.Fields(s)
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

func replaceInFile(name, from, to string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(strings.ReplaceAll(string(b), from, to)), 0o600)
}
