package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"keyward/tools/sync/filesync"
)

var (
	fence     = regexp.MustCompile("(?ms)^```(?:sh|bash)?\n(.*?)^```")
	shellTail = regexp.MustCompile(`\s(?:#|>|<|\||&&|;).*$`)
	shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

// roots are the commands that documents call.
var roots = map[string]func() *cobra.Command{"keyward": newRoot, "keyward-sync": filesync.NewCommand}

// TestDocumentsCallCommandsThatExist parses each call of them in a document's shell
// blocks, without running it: commands, flags and numbers of arguments.
func TestDocumentsCallCommandsThatExist(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../skills/*/SKILL.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	calls := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fence.FindAllStringSubmatch(string(b), -1) {
			for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
				line = strings.TrimPrefix(strings.TrimSpace(line), "bin/")
				root, ok := roots[strings.SplitN(line, " ", 2)[0]]
				if !ok {
					continue
				}
				calls++
				if err := parses(root(), shellTail.ReplaceAllString(line, "")); err != nil {
					t.Errorf("%s: %s: %v", strings.TrimPrefix(file, "../../"), line, err)
				}
			}
		}
	}
	if calls < 20 {
		t.Errorf("only %d calls found: the blocks are not read", calls)
	}
}

// parses reports what is wrong with a call, as the command itself would.
func parses(root *cobra.Command, line string) error {
	var args []string
	for _, word := range shellWord.FindAllString(line, -1)[1:] {
		args = append(args, strings.Trim(word, `'"`))
	}
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if help, err := cmd.Flags().GetBool("help"); err == nil && help {
		return nil
	}
	if !cmd.Runnable() {
		return fmt.Errorf("%q is no command", cmd.CommandPath()+" "+strings.Join(cmd.Flags().Args(), " "))
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
