package filtertest

import (
	"bytes"
	"slices"
	"strings"

	"keyward/plugins/filter"
)

// A Stream is an in-memory [filter.Stream]. Its zero value works: every side is
// empty and no property is set.
type Stream struct {
	Properties map[string]string // by path, its parts joined with a dot
	Calls      []string          // changes made, such as "set request x-a", oldest first
	Replies    []filter.Reply    // local replies, of which a plugin must give one at most
	Cuts       []filter.Reply    // what the stream was cut with
	Resumed    []filter.Side     // what was let go of outside of a callback
	// Fail names methods, such as "Headers", that fail with the given error.
	Fail map[string]error

	headers [4][][2]string // by filter.Side
	bodies  [2]*[]byte     // what the host holds; nil while no body callback runs
}

var (
	_ filter.Stream  = (*Stream)(nil)
	_ filter.Cutter  = (*Stream)(nil)
	_ filter.Resumer = (*Stream)(nil)
)

// NewStream returns a stream with request headers, for a plugin whose callbacks
// a test calls itself.
func NewStream(headers ...[2]string) *Stream {
	s := &Stream{}
	s.headers[filter.Request] = headers
	return s
}

var sides = [...]string{"request", "response", "request-trailers", "response-trailers"}

// Headers returns a copy of the headers of a side.
func (s *Stream) Headers(side filter.Side) ([][2]string, error) {
	if err := s.Fail["Headers"]; err != nil {
		return nil, err
	}
	if s.headers[side] == nil {
		return nil, filter.ErrNotFound
	}
	return slices.Clone(s.headers[side]), nil
}

// SetHeader replaces the first header of this name and removes the others; a
// new name goes to the end.
func (s *Stream) SetHeader(side filter.Side, name, value string) error {
	if err := s.change("SetHeader", "set "+sides[side]+" "+name); err != nil {
		return err
	}
	at := slices.IndexFunc(s.headers[side], func(h [2]string) bool { return h[0] == name })
	if at < 0 {
		s.headers[side] = append(s.headers[side], [2]string{name, value})
		return nil
	}
	rest := remove(s.headers[side][at+1:], name)
	s.headers[side] = append(slices.Clone(s.headers[side][:at]), append([][2]string{{name, value}}, rest...)...)
	return nil
}

// AddHeader appends a header.
func (s *Stream) AddHeader(side filter.Side, name, value string) error {
	if err := s.change("AddHeader", "add "+sides[side]+" "+name); err != nil {
		return err
	}
	s.headers[side] = append(slices.Clone(s.headers[side]), [2]string{name, value})
	return nil
}

// RemoveHeader removes every header of this name.
func (s *Stream) RemoveHeader(side filter.Side, name string) error {
	if err := s.change("RemoveHeader", "remove "+sides[side]+" "+name); err != nil {
		return err
	}
	s.headers[side] = remove(s.headers[side], name)
	return nil
}

// Body returns a copy of what is held.
func (s *Stream) Body(side filter.Side, limit int) ([]byte, error) {
	if err := s.Fail["Body"]; err != nil {
		return nil, err
	}
	if s.bodies[side] == nil || len(*s.bodies[side]) == 0 {
		return nil, filter.ErrNotFound
	}
	held := *s.bodies[side]
	return bytes.Clone(held[:min(limit, len(held))]), nil
}

// ReplaceBody replaces what is held.
func (s *Stream) ReplaceBody(side filter.Side, body []byte) error {
	if err := s.change("ReplaceBody", "replace "+sides[side]+" body"); err != nil {
		return err
	}
	if s.bodies[side] == nil {
		return filter.ErrNotFound
	}
	*s.bodies[side] = bytes.Clone(body)
	return nil
}

// Property reads Properties.
func (s *Stream) Property(path ...string) ([]byte, error) {
	if err := s.Fail["Property"]; err != nil {
		return nil, err
	}
	v, ok := s.Properties[strings.Join(path, ".")]
	if !ok {
		return nil, filter.ErrNotFound
	}
	return []byte(v), nil
}

// SetProperty sets a property of one name.
func (s *Stream) SetProperty(name string, value []byte) error {
	if err := s.change("SetProperty", "property "+name); err != nil {
		return err
	}
	if s.Properties == nil {
		s.Properties = map[string]string{}
	}
	s.Properties[name] = string(value)
	return nil
}

// Reply keeps the reply in Replies.
func (s *Stream) Reply(r filter.Reply) error {
	if err := s.change("Reply", "reply"); err != nil {
		return err
	}
	s.Replies = append(s.Replies, r)
	return nil
}

// Resume keeps the side in Resumed.
func (s *Stream) Resume(side filter.Side) error {
	if err := s.Fail["Resume"]; err != nil {
		return err
	}
	s.Resumed = append(s.Resumed, side)
	return nil
}

// Cut keeps the reply in Cuts.
func (s *Stream) Cut(r filter.Reply) error {
	if err := s.change("Cut", "cut"); err != nil {
		return err
	}
	s.Cuts = append(s.Cuts, r)
	return nil
}

func (s *Stream) change(method, call string) error {
	s.Calls = append(s.Calls, call)
	return s.Fail[method]
}

func remove(h [][2]string, name string) [][2]string {
	return slices.DeleteFunc(slices.Clone(h), func(h [2]string) bool { return h[0] == name })
}
