package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"get-id": getID},
	})
}

// getID sets a variable to the last line of the output of the command before,
// which -o name makes an id.
func getID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: get-id VARIABLE")
	}
	ts.Setenv(args[0], lastLine(ts.ReadFile("stdout")))
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
