package filter

// Guard wraps a plugin so that a panic in any callback denies: the stream gets
// refuse's reply, and the VM lives on.
//
// It can't help against what a host can't recover: endless loops, exhausted
// memory, stack overflow. Those are bounded where input is read.
//
// The result is [Background]; a panic in Tick or Release is swallowed, and what
// the plugin then fails to renew runs out.
func Guard(p Plugin, refuse func() Reply) Plugin { return &guardedPlugin{Plugin: p, refuse: refuse} }

type guardedPlugin struct {
	Plugin
	refuse func() Reply
	spare  Pool[guardedHandler]
}

var _ Background = (*guardedPlugin)(nil)

func (g *guardedPlugin) Tick() {
	defer func() { _ = recover() }()
	if b, ok := g.Plugin.(Background); ok {
		b.Tick()
	}
}

func (g *guardedPlugin) Release() {
	defer func() { _ = recover() }()
	if b, ok := g.Plugin.(Background); ok {
		b.Release()
	}
}

func (g *guardedPlugin) NewStream(s Stream) (h Handler) {
	gh := g.spare.Take()
	*gh = guardedHandler{s: s, p: g}
	defer func() {
		if recover() != nil {
			gh.h, h = nil, gh // every callback on a nil handler panics into a denial
		}
	}()
	gh.h = g.Plugin.NewStream(s)
	return gh
}

// guardedHandler denies once a callback has panicked, and holds ever after.
type guardedHandler struct {
	h    Handler
	s    Stream
	p    *guardedPlugin
	dead bool
}

// deny answers for a callback that panicked. It must be deferred directly.
func (g *guardedHandler) deny(a *Action) {
	if recover() == nil {
		return
	}
	*a = Hold
	if g.dead {
		return
	}
	g.dead = true
	_ = g.s.Reply(g.p.refuse()) // Hold stands even where the host can't answer
}

func (g *guardedHandler) RequestHeaders(end bool) (a Action) {
	defer g.deny(&a)
	return g.h.RequestHeaders(end)
}

func (g *guardedHandler) RequestBody(size int, end bool) (a Action) {
	defer g.deny(&a)
	if g.dead {
		return Hold
	}
	return g.h.RequestBody(size, end)
}

func (g *guardedHandler) RequestTrailers() (a Action) {
	defer g.deny(&a)
	if g.dead {
		return Hold
	}
	return g.h.RequestTrailers()
}

func (g *guardedHandler) ResponseHeaders(end bool) (a Action) {
	if g.dead {
		return Continue // the local answer itself passes through here
	}
	defer g.deny(&a)
	return g.h.ResponseHeaders(end)
}

func (g *guardedHandler) ResponseBody(size int, end bool) (a Action) {
	if g.dead {
		return Continue
	}
	defer g.deny(&a)
	return g.h.ResponseBody(size, end)
}

func (g *guardedHandler) ResponseTrailers() (a Action) {
	if g.dead {
		return Continue
	}
	defer g.deny(&a)
	return g.h.ResponseTrailers()
}

func (g *guardedHandler) Done() {
	defer func() { _ = recover() }() // the stream is over: nothing is left to deny
	g.h.Done()
	if !g.dead {
		p := g.p
		*g = guardedHandler{}
		p.spare.Put(g)
	}
}
