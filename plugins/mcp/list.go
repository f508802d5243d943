package mcp

import (
	"keyward/policies/engine"
)

// A reader walks one JSON value token by token: without recursion, and refusing
// duplicate names and bad UTF-8 at every depth.
type reader struct{ *engine.JSONDecoder }

// object reads an object; member is called after each name and must read the
// value.
func (r reader) object(member func(name string) error) error {
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	for r.PeekKind() != '}' {
		t, err := r.ReadToken()
		if err != nil {
			return err
		}
		if err := member(t.String()); err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return err
}

// str reads a value that must be a string, else it fails with wrong.
func (r reader) str(wrong error) (string, error) {
	if r.PeekKind() != '"' {
		return "", wrong
	}
	t, err := r.ReadToken()
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// id reads a request ID into the form that [Message] has it in.
func (r reader) id(to *[]byte) error {
	t, err := r.ReadToken()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case '"':
		*to = quote(nil, t.String())
	case '0':
		*to = []byte(t.String())
	case 'n':
		*to = []byte("null")
	default:
		return errShape
	}
	return nil
}

// result reads a result. Without a keep, or when it is no object, there is
// nothing to filter in it.
func (r reader) result(a *answer, keep func(string) bool) error {
	if keep == nil || r.PeekKind() != '{' {
		return r.SkipValue()
	}
	return r.object(func(name string) error {
		switch name {
		case "tools":
			a.tools = true
			return r.tools(a, keep)
		case "cacheScope":
			from := r.Next()
			scope, err := r.str(errShape)
			if err == nil && scope != "private" {
				a.cuts = append(a.cuts, cut{from, r.Offset(), `"private"`})
			}
			return err
		}
		if variant(name, listMembers) {
			return errVariant
		}
		return r.SkipValue()
	})
}

// tools reads the array of tools and cuts out those that keep refuses, each
// with one of the commas beside it.
func (r reader) tools(a *answer, keep func(string) bool) error {
	if r.PeekKind() != '[' {
		return errNoTools
	}
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	kept := false    // a tool before this one stays
	leading := false // the last cut is still to take the comma after it
	for r.PeekKind() != ']' {
		before, from := r.Offset(), r.Next()
		if leading {
			a.cuts[len(a.cuts)-1].to = from
			leading = false
		}
		name, err := r.tool()
		if err != nil {
			return err
		}
		if seen[name] {
			return errTwice
		}
		seen[name] = true
		switch {
		case validName(name) && keep(name):
			kept = true
		case kept:
			a.cuts = append(a.cuts, cut{from: before, to: r.Offset()})
		default:
			a.cuts = append(a.cuts, cut{from: from, to: r.Offset()})
			leading = true
		}
	}
	_, err := r.ReadToken()
	return err
}

// tool reads one entry of the list and returns its name.
func (r reader) tool() (string, error) {
	if r.PeekKind() != '{' {
		return "", errTool
	}
	var name string
	named := false
	err := r.object(func(member string) error {
		if member == "name" {
			var err error
			name, err = r.str(errTool)
			named = err == nil
			return err
		}
		if variant(member, toolMembers) {
			return errVariant
		}
		return r.SkipValue()
	})
	if err == nil && !named {
		err = errTool
	}
	return name, err
}
