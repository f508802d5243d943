package snapshot

import "errors"

// A View is a snapshot in force, indexed for the look-ups of a request. Looking
// up costs the same at any number of consumers.
//
// Entries that it returns are never changed, so a stream may keep them; they
// must not be changed by who gets them. A View is not safe for concurrent use
// while [View.Apply] runs.
type View struct {
	epoch      string
	generation uint64
	policy     *Policy // nil: none
	sessionKey []byte  // nil: none

	targets     map[string]*Target
	consumers   map[string]*Consumer
	credentials map[string]*Credential

	match  matcher
	tokens map[[32]byte]owner
	// users counts the consumers' and targets' references to an entry, which
	// may not be removed before they are.
	users map[ref]int
}

// An owner is who holds a token.
type owner struct {
	consumer *Consumer
	token    int32 // index in consumer.Tokens
}

// A ref names an entry that another one refers to.
type ref struct {
	credential bool // else a target
	id         string
}

// Errors of [View.Apply]: the delta is fine, but not for this view. What it
// takes is a whole snapshot.
var (
	ErrEpoch = errors.New("delta of another epoch")
	ErrGap   = errors.New("delta does not begin at the generation in force")
)

// NewView indexes a whole snapshot. It fails, with an [*Error], unless all of
// its entries are well formed and fit together.
func NewView(s *Snapshot) (*View, error) {
	if e := checkSnapshot(s); e != nil {
		return nil, e
	}
	if s.Since != 0 {
		return nil, fault("/since", "a delta is no whole snapshot")
	}
	v := &View{
		epoch:       s.Epoch,
		targets:     make(map[string]*Target, len(s.Targets)),
		consumers:   make(map[string]*Consumer, len(s.Consumers)),
		credentials: make(map[string]*Credential, len(s.Credentials)),
		tokens:      make(map[[32]byte]owner, len(s.Consumers)),
		users:       map[ref]int{},
	}
	if err := v.change(s); err != nil {
		return nil, err
	}
	return v, nil
}

// Load reads a document with a whole snapshot, as [Decode] and [NewView] do,
// with line and column in every error.
func Load(b []byte) (*View, error) {
	s, err := Decode(b)
	if err != nil {
		return nil, err
	}
	v, err := NewView(s)
	var e *Error
	if errors.As(err, &e) {
		e.Locate(b)
	}
	return v, err
}

// Apply brings v to the generation of a delta, at a cost that depends on the
// delta alone unless it changes targets. On an error, which is [ErrEpoch],
// [ErrGap] or an [*Error], v is as before.
func (v *View) Apply(delta *Snapshot) error {
	if e := checkSnapshot(delta); e != nil {
		return e
	}
	if delta.Since == 0 {
		return fault("/since", "a whole snapshot is no delta")
	}
	if delta.Epoch != v.epoch {
		return ErrEpoch
	}
	if delta.Since != v.generation {
		return ErrGap
	}
	return v.change(delta)
}

// Epoch changes when generations start anew.
func (v *View) Epoch() string { return v.epoch }

// Generation is the generation in force, from 1.
func (v *View) Generation() uint64 { return v.generation }

// Policy is the live policy; nil when there is none, which denies everything.
func (v *View) Policy() *Policy { return v.policy }

// SessionKey is what MCP sessions are bound with; nil when there is none.
func (v *View) SessionKey() []byte { return v.sessionKey }

// Consumer returns whose token has this SHA-256, and the token.
func (v *View) Consumer(digest [32]byte) (*Consumer, *Token, bool) {
	o, ok := v.tokens[digest]
	if !ok {
		return nil, nil, false
	}
	return o.consumer, &o.consumer.Tokens[o.token], true
}

// ConsumerByID returns the consumer of this ID.
func (v *View) ConsumerByID(id string) (*Consumer, bool) {
	c, ok := v.consumers[id]
	return c, ok
}

// Target returns the target of a request by the gateway's route name, which may
// be empty, the host in lower case without port, and the normalised path without
// query. The order among matches is that of [Match].
func (v *View) Target(route, host, path string) (*Target, bool) {
	return v.match.find(route, host, path)
}

// ByRoute reports whether any target is matched by the gateway's route name, so
// that a caller needn't ask the host for it in vain.
func (v *View) ByRoute() bool { return v.match.routes }

// TargetByID returns the target of this ID.
func (v *View) TargetByID(id string) (*Target, bool) {
	t, ok := v.targets[id]
	return t, ok
}

// Credential returns the credential of this ID.
func (v *View) Credential(id string) (*Credential, bool) {
	c, ok := v.credentials[id]
	return c, ok
}

// CredentialFor is the ID of the credential that c uses at t: its own for this
// target or else the target's; "" when nothing is to be injected.
func CredentialFor(c *Consumer, t *Target) string {
	if id, ok := c.Credentials[t.ID]; ok {
		return id
	}
	return t.Credential
}
