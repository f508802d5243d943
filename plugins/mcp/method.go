package mcp

// Class says what decides a message, and what becomes of its answer.
type Class uint8

// The classes. The zero value is none of them.
const (
	ByName  Class = iota + 1 // it names an object: decided by that name and its arguments
	ByRule                   // it names none: decided by its method alone
	Listing                  // as ByRule, and its answer is filtered
)

// method is what one method is, and in which revisions.
type method struct {
	class        Class
	notification bool
	from, to     Revision
}

// methods are all that can be decided; a method that is not here, or not in the
// revision of the request, is unknown. Matched byte for byte.
var methods = map[string]method{
	"tools/call":                       {class: ByName, from: R20250618, to: R20260728},
	"tools/list":                       {class: Listing, from: R20250618, to: R20260728},
	"initialize":                       {class: ByRule, from: R20250618, to: R20251125},
	"server/discover":                  {class: ByRule, from: R20260728, to: R20260728},
	"ping":                             {class: ByRule, from: R20250618, to: R20251125},
	"notifications/initialized":        {class: ByRule, notification: true, from: R20250618, to: R20251125},
	"notifications/cancelled":          {class: ByRule, notification: true, from: R20250618, to: R20260728},
	"notifications/progress":           {class: ByRule, notification: true, from: R20250618, to: R20251125},
	"notifications/roots/list_changed": {class: ByRule, notification: true, from: R20250618, to: R20251125},
}

// lookup returns the method of this name in revision r.
func lookup(name string, r Revision) (method, bool) {
	m, ok := methods[name]
	return m, ok && m.from <= r && r <= m.to
}
