package compile

import (
	"fmt"
	"strings"
)

// An Error is one fault of a policy.
type Error struct {
	File     string
	Row, Col int // from 1; 0 when not known
	Code     string
	Message  string
}

func (e Error) Error() string {
	s := e.Code + ": " + e.Message
	switch {
	case e.Row > 0:
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Row, e.Col, s)
	case e.File != "":
		return e.File + ": " + s
	}
	return s
}

// Errors are all faults that were found.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}
