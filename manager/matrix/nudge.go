package matrix

// A nudge wakes the one who waits for it. Given while nobody waits, it wakes the
// next at once.
type nudge struct{ ch chan struct{} }

func newNudge() nudge { return nudge{ch: make(chan struct{}, 1)} }

func (n nudge) next() <-chan struct{} { return n.ch }

func (n nudge) give() {
	select {
	case n.ch <- struct{}{}:
	default:
	}
}
