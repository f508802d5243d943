// Package flow gives functions of the Go compiler their control flow back.
//
// To let a goroutine go on in the middle of a function, the compiler writes every
// function for WebAssembly as one loop around a table of jumps, and every if and
// every loop of the source goes through that table. This package writes them as
// WebAssembly's own blocks and loops, and leaves the table for what it is needed
// for: functions that are entered in the middle, after their goroutine was
// stopped. Calls and return addresses stay as they are. Besides it reckons
// addresses in a frame in one step, copies and clears a few bytes without a call
// of the host's, and leaves out what turns conditions into numbers and back.
package flow

// Facts are what has to be known of a function beside its body.
type Facts struct {
	Number      uint32            // in return addresses, above their lower 16 bits
	DeferReturn uint32            // where it goes on after a recovered panic; 0: nowhere
	Ends        func(uint32) bool // whether the function of this index never comes back; nil: none is known
}

// Rewrite returns a function body in that form, without its size; false: it is
// not one of the usual form, and stays.
func Rewrite(body []byte, facts Facts) ([]byte, bool) {
	f, err := parse(body, facts)
	if err != nil {
		return body, false
	}
	root, err := f.regions()
	if err != nil {
		return body, false
	}
	return f.write(root), true
}
