package snapshot

import "keyward/plugins/internal/strict"

// Audit says how requests to a target are recorded. The zero value keeps no
// arguments, and denies what can't be recorded.
type Audit struct {
	Arguments bool `json:"arguments,omitempty" jsonschema:"true: keep the arguments of calls, masked; absent: their digest alone"`
	Lossy     bool `json:"lossy,omitempty" jsonschema:"true: let requests go on while they can't be recorded, and count them; absent: deny them"`
	Sync      bool `json:"sync,omitempty" jsonschema:"true: a request goes on once the Manager has stored its record"`
}

func readAudit(r *strict.Reader, a *Audit) error {
	return r.Object(func(name string) error {
		switch name {
		case "arguments":
			return r.Bool(&a.Arguments)
		case "lossy":
			return r.Bool(&a.Lossy)
		case "sync":
			return r.Bool(&a.Sync)
		default:
			return r.Unknown()
		}
	})
}

func (w *writer) audit(a *Audit) {
	if a == nil {
		return
	}
	w.name("audit")
	w.object(func() {
		w.yes("arguments", a.Arguments)
		w.yes("lossy", a.Lossy)
		w.yes("sync", a.Sync)
	})
}
