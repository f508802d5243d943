package snapshot

// An Audience is whom the entries of a gateway are for: each plugin gets what it
// uses, and nothing else.
type Audience string

// The audiences.
const (
	// Everyone gets all there is.
	Everyone Audience = ""
	// ForGate is without credentials: gate names them, and never opens one.
	ForGate Audience = "gate"
	// ForKeySwap is without the policy, and of consumers it has who they are,
	// whether they are active, and which credentials are their own: no token, no
	// grant, no label.
	ForKeySwap Audience = "key-swap"
)

// Known reports whether a is one of the audiences.
func (a Audience) Known() bool { return a == Everyone || a == ForGate || a == ForKeySwap }
