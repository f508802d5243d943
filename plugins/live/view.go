package live

import (
	"keyward/plugins/snapshot"
)

// A View is what is in force at one generation: targets and policy as they were
// then, consumers and credentials as they are when they are looked up, which is
// never earlier. Entries that it returns are never changed.
type View struct {
	r       *Reader
	point   point
	epoch   string
	targets *snapshot.Targets
	policy  *snapshot.Policy

	sessionKey []byte // nil: none
}

// Generation is the generation in force, from 1.
func (v *View) Generation() uint64 { return v.point.generation }

// Epoch is what the generation counts in.
func (v *View) Epoch() string { return v.epoch }

// Policy is the live policy; nil when there is none, which denies everything.
// It is the same value as long as the policy stays.
func (v *View) Policy() *snapshot.Policy { return v.policy }

// SessionKey is what MCP sessions are bound with; nil when there is none.
func (v *View) SessionKey() []byte { return v.sessionKey }

// Target returns the target of a request; see [snapshot.View.Target].
func (v *View) Target(route, host, path string) (*snapshot.Target, bool) {
	return v.targets.Find(route, host, path)
}

// ByRoute reports whether any target is matched by the gateway's route name.
func (v *View) ByRoute() bool { return v.targets.ByRoute() }

// TargetByID returns the target of this ID.
func (v *View) TargetByID(id string) (*snapshot.Target, bool) { return v.targets.ByID(id) }

// Consumer returns whose token has this SHA-256, and the token. That a digest
// leads to a consumer is a hint: whether the token is its own, its entry says.
func (v *View) Consumer(digest [32]byte) (*snapshot.Consumer, *snapshot.Token, bool) {
	d := string(digest[:])
	if id := v.r.tokens.entries[d]; id != nil {
		if c, t, ok := v.owner(*id.value.(*string), digest); ok {
			return c, t, true
		}
	}
	id, err := find[string](v.r.tokens, v.r.space, v.r.state.point, d)
	if err != nil {
		v.r.log("live: token: " + err.Error())
	}
	if err != nil || id == nil {
		return nil, nil, false
	}
	return v.owner(*id, digest)
}

func (v *View) owner(id string, digest [32]byte) (*snapshot.Consumer, *snapshot.Token, bool) {
	c, ok := v.ConsumerByID(id)
	if !ok {
		return nil, nil, false
	}
	for i := range c.Tokens {
		if d, ok := snapshot.Digest(c.Tokens[i].SHA256); ok && d == digest {
			return c, &c.Tokens[i], true
		}
	}
	return nil, nil, false
}

// ConsumerByID returns the consumer of this ID.
func (v *View) ConsumerByID(id string) (*snapshot.Consumer, bool) {
	c, err := find[snapshot.Consumer](v.r.consumers, v.r.space, v.r.state.point, id)
	if err != nil {
		v.r.log("live: consumer: " + err.Error())
	}
	return c, err == nil && c != nil && c.ID == id
}

// Credential returns the credential of this ID.
func (v *View) Credential(id string) (*snapshot.Credential, bool) {
	c, err := find[snapshot.Credential](v.r.credentials, v.r.space, v.r.state.point, id)
	if err != nil {
		v.r.log("live: credential: " + err.Error())
	}
	return c, err == nil && c != nil && c.ID == id
}
