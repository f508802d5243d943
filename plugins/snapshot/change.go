package snapshot

import (
	"maps"
	"slices"
	"strconv"

	"keyward/policies"
)

// A change is a snapshot or delta on its way into a view. Nothing of the view
// is touched before everything is known to fit.
type change struct {
	v    *View
	s    *Snapshot
	gone Removed // empty for a whole snapshot

	// What the view will hold under an ID; nil: no longer anything.
	targets     map[string]*Target
	consumers   map[string]*Consumer
	credentials map[string]*Credential

	match  matcher // the view's, or a new one when targets change
	tokens map[[32]byte]owner
	users  map[ref]int // to be added to the view's
}

// change brings v to what s, which is well formed, says.
func (v *View) change(s *Snapshot) error {
	c := &change{
		v: v, s: s, match: v.match,
		targets:     make(map[string]*Target, len(s.Targets)),
		consumers:   make(map[string]*Consumer, len(s.Consumers)),
		credentials: make(map[string]*Credential, len(s.Credentials)),
		tokens:      make(map[[32]byte]owner, len(s.Consumers)),
		users:       map[ref]int{},
	}
	if s.Removed != nil {
		c.gone = *s.Removed
	}
	if e := c.collect(); e != nil {
		return e
	}
	for _, check := range []func() *Error{c.checkTargets, c.checkConsumers, c.checkUsers} {
		if e := check(); e != nil {
			return e
		}
	}
	c.commit()
	return nil
}

// collect notes what the change puts under which ID, and counts references.
func (c *change) collect() *Error {
	if e := first(
		overlay("/removed/targets", c.v.targets, c.targets, c.s.Targets, c.gone.Targets, func(t *Target) string { return t.ID }),
		overlay("/removed/consumers", c.v.consumers, c.consumers, c.s.Consumers, c.gone.Consumers, func(c *Consumer) string { return c.ID }),
		overlay("/removed/credentials", c.v.credentials, c.credentials, c.s.Credentials, c.gone.Credentials, func(c *Credential) string { return c.ID }),
	); e != nil {
		return e
	}
	for id, t := range c.targets {
		c.countTarget(c.v.targets[id], -1)
		c.countTarget(t, 1)
	}
	for id, consumer := range c.consumers {
		c.countConsumer(c.v.consumers[id], -1)
		c.countConsumer(consumer, 1)
	}
	return nil
}

// overlay puts changed entries and nil for removed ones into dst. What is
// removed must be there.
func overlay[T any](pointer string, base, dst map[string]*T, changed []T, gone []string, id func(*T) string) *Error {
	for i := range changed {
		dst[id(&changed[i])] = &changed[i]
	}
	for i, g := range gone {
		if _, ok := base[g]; !ok {
			return fault(pointer+"/"+strconv.Itoa(i), "there is nothing of this name to remove")
		}
		dst[g] = nil
	}
	return nil
}

func (c *change) countTarget(t *Target, n int) {
	if t != nil && t.Credential != "" {
		c.users[ref{true, t.Credential}] += n
	}
}

func (c *change) countConsumer(consumer *Consumer, n int) {
	if consumer == nil {
		return
	}
	for i := range consumer.Grants {
		c.users[ref{false, consumer.Grants[i].Target}] += n
	}
	for target, credential := range consumer.Credentials {
		c.users[ref{false, target}] += n
		c.users[ref{true, credential}] += n
	}
}

// get is what the view will hold under id; nil: nothing.
func get[T any](base, overlay map[string]*T, id string) *T {
	if t, ok := overlay[id]; ok {
		return t
	}
	return base[id]
}

// checkTargets checks credentials and that all matches differ.
func (c *change) checkTargets() *Error {
	if len(c.targets) == 0 {
		return nil
	}
	next := make(map[string]*Target, len(c.v.targets)+len(c.targets))
	taken := map[Match]struct{}{}
	for id, t := range c.v.targets {
		if _, changed := c.targets[id]; changed {
			continue
		}
		next[id] = t
		for _, m := range t.Match {
			taken[m.canonical()] = struct{}{}
		}
	}
	for i := range c.s.Targets {
		t, pointer := &c.s.Targets[i], "/targets/"+strconv.Itoa(i)
		next[t.ID] = t
		if t.Credential != "" && get(c.v.credentials, c.credentials, t.Credential) == nil {
			return fault(pointer+"/credential", "there is no credential "+strconv.Quote(t.Credential))
		}
		for j, m := range t.Match {
			m = m.canonical()
			if _, dup := taken[m]; dup {
				return fault(pointer+"/match/"+strconv.Itoa(j), "another target has the same match")
			}
			taken[m] = struct{}{}
		}
	}
	c.match = newMatcher(next)
	return nil
}

// checkConsumers checks tokens, grants and credentials of changed consumers.
func (c *change) checkConsumers() *Error {
	for i := range c.s.Consumers {
		consumer := &c.s.Consumers[i]
		if e := first(c.checkTokens(consumer), c.checkGrants(consumer), c.checkOverrides(consumer)); e != nil {
			return under("/consumers/"+strconv.Itoa(i), e)
		}
	}
	return nil
}

// checkTokens checks that no digest has two owners: a token must stand for one
// consumer alone.
func (c *change) checkTokens(consumer *Consumer) *Error {
	for i := range consumer.Tokens {
		d, _ := digest(consumer.Tokens[i].SHA256)
		other, taken := c.v.tokens[d]
		if taken {
			_, changed := c.consumers[other.consumer.ID]
			taken = !changed
		}
		if _, twice := c.tokens[d]; taken || twice {
			return fault("/tokens/"+strconv.Itoa(i)+"/sha256", "the same token is there twice")
		}
		c.tokens[d] = owner{consumer, int32(i)}
	}
	return nil
}

func (c *change) checkGrants(consumer *Consumer) *Error {
	for i := range consumer.Grants {
		g, pointer := &consumer.Grants[i], "/grants/"+strconv.Itoa(i)
		t := get(c.v.targets, c.targets, g.Target)
		if t == nil {
			return fault(pointer+"/target", "there is no target "+strconv.Quote(g.Target))
		}
		// On a target of the wrong kind, what was meant as a limit is none.
		if t.Kind == policies.KindMCP && (g.Methods != nil || g.Paths != nil) {
			return fault(pointer, "methods and paths are for targets of kind llm and http, not for "+strconv.Quote(t.ID))
		}
		if t.Kind != policies.KindMCP && (g.Tools != nil || g.Prompts != nil || g.Resources != nil || g.Arguments != nil) {
			return fault(pointer, "tools, prompts, resources and arguments are for targets of kind mcp, not for "+strconv.Quote(t.ID))
		}
	}
	return nil
}

func (c *change) checkOverrides(consumer *Consumer) *Error {
	for _, target := range slices.Sorted(maps.Keys(consumer.Credentials)) {
		id, pointer := consumer.Credentials[target], "/credentials/"+escape(target)
		t := get(c.v.targets, c.targets, target)
		switch {
		case t == nil:
			return fault(pointer, "there is no target "+strconv.Quote(target))
		case t.Inject == nil:
			return fault(pointer, "the target does not say where a credential goes")
		case get(c.v.credentials, c.credentials, id) == nil:
			return fault(pointer, "there is no credential "+strconv.Quote(id))
		}
	}
	return nil
}

// checkUsers checks that nothing is removed, or changed beyond recognition,
// that entries outside the change rely on.
func (c *change) checkUsers() *Error {
	for i, id := range c.gone.Targets {
		if r := (ref{false, id}); c.v.users[r]+c.users[r] > 0 {
			return fault("/removed/targets/"+strconv.Itoa(i), "is still in use")
		}
	}
	for i, id := range c.gone.Credentials {
		if r := (ref{true, id}); c.v.users[r]+c.users[r] > 0 {
			return fault("/removed/credentials/"+strconv.Itoa(i), "is still in use")
		}
	}
	for i := range c.s.Targets {
		t := &c.s.Targets[i]
		old, ok := c.v.targets[t.ID]
		if ok && (old.Kind != t.Kind || old.Inject != nil && t.Inject == nil) && c.v.users[ref{false, t.ID}] > 0 {
			return fault("/targets/"+strconv.Itoa(i), "a target in use can neither change its kind nor lose its place for credentials; remove it first")
		}
	}
	return nil
}

func (c *change) commit() {
	v := c.v
	for id := range c.consumers {
		if old := v.consumers[id]; old != nil {
			for i := range old.Tokens {
				d, _ := digest(old.Tokens[i].SHA256)
				delete(v.tokens, d)
			}
		}
	}
	for d, o := range c.tokens {
		v.tokens[d] = o
	}
	put(v.targets, c.targets)
	put(v.consumers, c.consumers)
	put(v.credentials, c.credentials)
	for r, n := range c.users {
		if v.users[r] += n; v.users[r] == 0 {
			delete(v.users, r)
		}
	}
	v.match = c.match
	v.generation = c.s.Generation
	if c.s.Policy != nil {
		v.policy = c.s.Policy
	}
	if c.s.SessionKey != nil {
		v.sessionKey = c.s.SessionKey
	}
}

func put[T any](base, overlay map[string]*T) {
	for id, t := range overlay {
		if t == nil {
			delete(base, id)
			continue
		}
		base[id] = t
	}
}
