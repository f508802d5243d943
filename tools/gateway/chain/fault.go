package chain

import "fmt"

// A Fault is a filter's misuse of its host.
type Fault struct {
	Filter string // name of the filter
	At     string // the callback it was in, such as "request body"; "" outside of one
	Text   string // what it did; holds no secret and nothing that a client sent
}

func (f Fault) String() string {
	if f.At == "" {
		return fmt.Sprintf("%s: %s", f.Filter, f.Text)
	}
	return fmt.Sprintf("%s: in %s: %s", f.Filter, f.At, f.Text)
}
