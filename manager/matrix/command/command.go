// Package command reads what an administrator asks of the Manager in its room.
//
// It does no I/O. Whatever is not exactly a command is none: a message is a
// line that begins with [Word], and every part of it has one form.
package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyward/manager"
)

// Word begins every command.
const Word = "!keyward"

// maxLine bounds a command, in bytes.
const maxLine = 256

// A Verb is what is asked for.
type Verb string

// The verbs.
const (
	Help    Verb = "help"
	Status  Verb = "status"
	Who     Verb = "who"
	Why     Verb = "why"     // ID of a decision
	Grants  Verb = "grants"  // all, or a consumer's
	Suspend Verb = "suspend" // consumer
	Resume  Verb = "resume"  // consumer
	Revoke  Verb = "revoke"  // consumer
	Wake    Verb = "wake"    // Worker, or its consumer
)

// A Command is a command.
type Command struct {
	Verb Verb
	Arg  string // empty: none was given
}

// ErrNone reports a line that is no command at all.
var ErrNone = errors.New("not a command")

// A verb takes no argument, may take one, or needs one.
const (
	none = iota
	may
	must
)

type rule struct {
	verb  Verb
	takes int
	valid func(string) bool // of an argument
	help  string
}

var rules = []rule{
	{Status, none, nil, "the Manager, its gateways and rooms"},
	{Who, none, nil, "who may do anything, and in which state"},
	{Why, must, decisionID, "ID: why a request was allowed or denied"},
	{Grants, may, manager.ValidID, "[CONSUMER]: what was granted"},
	{Suspend, must, manager.ValidID, "CONSUMER: it may do nothing until it is resumed; a Worker is stopped too"},
	{Resume, must, manager.ValidID, "CONSUMER: it may do again what it could; a Worker is started too"},
	{Revoke, must, manager.ValidID, "CONSUMER: it may never do anything again; a Worker is stopped for good"},
	{Wake, must, manager.ValidID, "WORKER: it was asleep, and goes on"},
	{Help, none, nil, "this list"},
}

// decisionID reports whether s has the form of a decision's ID.
func decisionID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.Contains("-_.", s[i:i+1]) {
			return false
		}
	}
	return true
}

// Parse reads a message. It is [ErrNone] unless the message is meant for the
// Manager; any other error is fit to be shown.
func Parse(line string) (Command, error) {
	rest, ok := strings.CutPrefix(line, Word)
	if !ok || rest != "" && rest[0] != ' ' {
		return Command{}, ErrNone
	}
	if len(line) > maxLine {
		return Command{}, fmt.Errorf("longer than %d bytes", maxLine)
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r > '~' }) {
		return Command{}, errors.New("holds more than printable ASCII")
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return Command{Verb: Help}, nil
	}
	i := slices.IndexFunc(rules, func(r rule) bool { return string(r.verb) == fields[0] })
	if i < 0 {
		return Command{}, fmt.Errorf("no command %q", fields[0])
	}
	v := rules[i]
	switch {
	case len(fields) > 2 || len(fields) == 2 && v.takes == none:
		return Command{}, fmt.Errorf("%s: too many arguments", v.verb)
	case len(fields) == 1 && v.takes == must:
		return Command{}, fmt.Errorf("%s: say which", v.verb)
	case len(fields) == 1:
		return Command{Verb: v.verb}, nil
	case !v.valid(fields[1]):
		return Command{}, fmt.Errorf("%s: %q has not the form of an ID", v.verb, fields[1])
	}
	return Command{Verb: v.verb, Arg: fields[1]}, nil
}

// Usage returns a line for each command.
func Usage() []string {
	var list []string
	for _, v := range rules {
		list = append(list, Word+" "+string(v.verb)+" "+v.help)
	}
	return list
}
