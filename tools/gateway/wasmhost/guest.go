package wasmhost

import (
	"context"
	"errors"
	"time"

	"keyward/tools/gateway/chain"
)

// A guest is a context that the host made in a VM: of a plugin with one
// configuration (a root), or of a stream.
type guest struct {
	vm    *vm
	id    uint32
	seat  *seat
	root  *guest      // itself for a root
	view  *chain.View // nil for a root
	over  bool        // proxy_on_delete has been called
	calls map[uint32]context.CancelFunc

	// Of a stream:
	stopped bool // its request is held, and nothing more of it is shown

	// Of a root:
	configuration []byte
	streams       int  // open ones
	retired       bool // another root serves new streams
	period        time.Duration
	timer         *time.Timer // nil until a tick period is set
}

var (
	errVMStart   = errors.New("did not start")
	errConfigure = errors.New("configuration refused")
	errTrap      = errors.New("VM trapped")
)

// newRoot makes a plugin context, starts and configures it.
func (v *vm) newRoot(s *seat, configuration []byte) (*guest, error) {
	g := &guest{vm: v, seat: s, configuration: configuration}
	g.root = g
	v.add(g)
	steps := []struct {
		at   string
		fn   int
		args [2]uint64
		err  error
	}{
		{"context create", onContextCreate, [2]uint64{uint64(g.id), 0}, nil},
		{"vm start", onVMStart, [2]uint64{uint64(g.id), uint64(len(s.m.spec.VMConfiguration))}, errVMStart},
		{"configure", onConfigure, [2]uint64{uint64(g.id), uint64(len(configuration))}, errConfigure},
	}
	for _, step := range steps {
		result, ok := v.invoke(g, step.at, step.fn, 1, step.args[:]...)
		if !ok {
			return nil, errTrap
		}
		if step.err != nil && result == 0 {
			g.end()
			return nil, step.err
		}
	}
	return g, nil
}

// newStream makes the context of a stream.
func (v *vm) newStream(root *guest, view *chain.View) (*guest, bool) {
	g := &guest{vm: v, seat: root.seat, root: root, view: view}
	v.add(g)
	root.streams++
	_, ok := v.invoke(g, "context create", onContextCreate, 0, uint64(g.id), uint64(root.id))
	return g, ok
}

// retire ends a root as soon as it has no stream left.
func (g *guest) retire() {
	g.retired = true
	if g.streams == 0 {
		g.end()
	}
}

// end takes a context out of its VM.
func (g *guest) end() {
	if g.over {
		return
	}
	g.setTick(0)
	for _, cancel := range g.calls {
		cancel()
	}
	g.calls = nil
	v := g.vm
	if !v.dead && g.view != nil {
		v.invoke(g, "log", onLog, 0, uint64(g.id))
	}
	if !v.dead {
		done, ok := v.invoke(g, "done", onDone, 1, uint64(g.id))
		if ok && done == 0 {
			v.faultAt(g, "done", "is not done, which this host does not wait for")
		}
	}
	if !v.dead {
		v.invoke(g, "delete", onDelete, 0, uint64(g.id))
	}
	g.over = true
	delete(v.guests, g.id)
	if g.root == g {
		return
	}
	g.root.streams--
	if g.root.retired && g.root.streams == 0 {
		g.root.end()
	}
}

// setTick calls the plugin every period from now on; 0 stops that.
func (g *guest) setTick(period time.Duration) {
	g.period = period
	if g.timer != nil {
		g.timer.Stop()
	}
	if period > 0 {
		g.timer = time.AfterFunc(period, g.tick)
	}
}

func (g *guest) tick() {
	g.vm.m.w.Do(func() {
		if g.over || g.vm.dead || g.period == 0 {
			return
		}
		timer := g.timer
		g.vm.invoke(g, "tick", onTick, 0, uint64(g.id))
		if g.timer == timer && g.period > 0 && !g.vm.dead {
			g.timer.Reset(g.period)
		}
	})
}

// waits reports whether something may still act on a stream that g holds.
func (g *guest) waits() bool {
	return len(g.calls) > 0 || g.root.period > 0 || len(g.root.calls) > 0
}
