package command_test

import (
	"errors"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/matrix/command"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, line string
		want       command.Command
		bad, none  bool
	}{
		{name: "a verb", line: "!keyward status", want: command.Command{Verb: command.Status}},
		{name: "a verb and its argument", line: "!keyward  suspend  worker-a ", want: command.Command{Verb: command.Suspend, Arg: "worker-a"}},
		{name: "a Worker to wake", line: "!keyward wake researcher", want: command.Command{Verb: command.Wake, Arg: "researcher"}},
		{name: "an argument that may be left out", line: "!keyward grants", want: command.Command{Verb: command.Grants}},
		{name: "a decision", line: "!keyward why 01J9Z3-gw.1", want: command.Command{Verb: command.Why, Arg: "01J9Z3-gw.1"}},
		{name: "the word alone asks for help", line: "!keyward", want: command.Command{Verb: command.Help}},
		{name: "talk", line: "please !keyward revoke worker-a", none: true},
		{name: "a longer word", line: "!keywardrevoke worker-a", none: true},
		{name: "upper case", line: "!Keyward status", none: true},
		{name: "an unknown verb", line: "!keyward delete worker-a", bad: true},
		{name: "a verb in upper case", line: "!keyward REVOKE worker-a", bad: true},
		{name: "no argument where one is needed", line: "!keyward revoke", bad: true},
		{name: "two arguments", line: "!keyward revoke worker-a worker-b", bad: true},
		{name: "an argument where none is taken", line: "!keyward status worker-a", bad: true},
		{name: "all at once", line: "!keyward revoke *", bad: true},
		{name: "a path", line: "!keyward revoke ../manager", bad: true},
		{name: "a second line", line: "!keyward suspend worker-a\n!keyward revoke worker-b", bad: true},
		{name: "a line break as space", line: "!keyward\nrevoke worker-b", none: true},
		{name: "a letter that looks like another", line: "!keyward revoke wоrker-a", bad: true},
		{name: "a direction mark", line: "!keyward revoke worker-a\u202e", bad: true},
		{name: "a NUL", line: "!keyward revoke worker-a\x00", bad: true},
		{name: "too long", line: "!keyward why " + strings.Repeat("a", 300), bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := command.Parse(tt.line)
			if (err != nil) != (tt.bad || tt.none) || errors.Is(err, command.ErrNone) != tt.none {
				t.Fatalf("Parse(%q) error = %v", tt.line, err)
			}
			if got != tt.want {
				t.Errorf("Parse(%q) = %+v, want %+v", tt.line, got, tt.want)
			}
		})
	}
}

func TestUsageNamesEveryCommand(t *testing.T) {
	usage := strings.Join(command.Usage(), "\n")
	for _, v := range []command.Verb{command.Status, command.Who, command.Why, command.Grants, command.Suspend, command.Resume, command.Revoke, command.Wake} {
		if !strings.Contains(usage, command.Word+" "+string(v)) {
			t.Errorf("usage lacks %s", v)
		}
	}
}

// FuzzParse: what is read as a command changes only what it names by an ID.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"!keyward revoke worker-a", "!keyward", "!keyward why x", "!keyward grants \x00", "hello"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := command.Parse(line)
		if err != nil {
			if c != (command.Command{}) {
				t.Errorf("Parse(%q) = %+v with an error", line, c)
			}
			return
		}
		if !strings.HasPrefix(line, command.Word) || len(line) > 256 {
			t.Errorf("Parse(%q) = %+v", line, c)
		}
		switch c.Verb {
		case command.Suspend, command.Resume, command.Revoke, command.Wake:
			if !manager.ValidID(c.Arg) || !strings.Contains(line, " "+c.Arg) {
				t.Errorf("Parse(%q) = %+v", line, c)
			}
		}
	})
}
