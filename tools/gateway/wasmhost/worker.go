package wasmhost

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// A Worker is what a worker thread is in Envoy: the VMs that serve the streams
// given to it, one call at a time.
type Worker struct {
	h        *Host
	mu       sync.Mutex // held while any of the VMs runs, and for a step of a stream
	machines []*machine
	seats    []*seat // by plugin
}

// Do runs f where the worker's filters may run. Every step of a stream that has
// them must be in it. f must not block.
func (w *Worker) Do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// Filters are the worker's plugins as filters, in the order of the host's.
func (w *Worker) Filters() []chain.Filter {
	list := make([]chain.Filter, len(w.seats))
	for i, s := range w.seats {
		list[i] = s
	}
	return list
}

// A machine is where a VM lives, and where the next one will if it dies.
type machine struct {
	w      *Worker
	module *module
	spec   Plugin // of the first plugin in it: what all of them have in common
	seats  []*seat
	vm     *vm // may be dead
	loaded time.Time
	memory atomic.Int64 // bytes of the VM after its last callback
}

// A seat is one plugin on one worker. It is a [chain.Filter].
type seat struct {
	m             *machine
	name          string
	configuration []byte
	root          *guest // serves new streams; of m.vm
}

var _ chain.Filter = (*seat)(nil)

// start puts a plugin on the worker, in the VM of an earlier plugin when both
// have code, vm_id and VM configuration in common.
func (w *Worker) start(m *module, p Plugin) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, err := w.machineFor(m, p)
	if err != nil {
		return err
	}
	s := &seat{m: at, name: p.Name, configuration: p.Configuration}
	if at.vm == nil {
		if err := at.load(); err != nil {
			return err
		}
	}
	if err := s.begin(p.Configuration); err != nil {
		return err
	}
	at.seats = append(at.seats, s)
	w.seats = append(w.seats, s)
	return nil
}

func (w *Worker) machineFor(m *module, p Plugin) (*machine, error) {
	for _, at := range w.machines {
		s := at.spec
		if at.module != m || s.VMID != p.VMID || !bytes.Equal(s.VMConfiguration, p.VMConfiguration) {
			continue
		}
		if !maps.Equal(s.Env, p.Env) || s.Reload != p.Reload {
			return nil, fmt.Errorf("shares a VM with plugin %q, but not its environment and failure policy", s.Name)
		}
		return at, nil
	}
	at := &machine{w: w, module: m, spec: p}
	w.machines = append(w.machines, at)
	return at, nil
}

var errNoPlugin = errors.New("no such plugin")

func (w *Worker) configure(name string, configuration []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seats {
		if s.name != name {
			continue
		}
		main := w == w.h.workers[len(w.h.workers)-1]
		if s.m.vm.dead && main {
			_ = s.m.reload() // dead or not, the check below decides
		}
		if s.m.vm.dead && !main {
			s.configuration = configuration // for the VM that comes next, if one does
			return nil
		}
		if err := s.begin(configuration); err != nil {
			return err
		}
		s.configuration = configuration
		return nil
	}
	return errNoPlugin
}

func (w *Worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.machines {
		if m.vm != nil {
			m.vm.close()
		}
	}
}

// load makes a new VM.
func (m *machine) load() error {
	vm, err := newVM(m)
	if err != nil {
		return err
	}
	m.vm, m.loaded = vm, time.Now()
	return nil
}

// reload replaces a dead VM, with all the plugins in it.
func (m *machine) reload() error {
	if err := m.load(); err != nil {
		return err
	}
	m.w.h.stats.reloads.Add(1)
	for _, s := range m.seats {
		s.root = nil
		if err := s.begin(s.configuration); err != nil {
			m.vm.die(err)
			return err
		}
	}
	return nil
}

// usable returns the VM if it can serve a new stream, nil otherwise.
func (m *machine) usable() *vm {
	if !m.vm.dead {
		return m.vm
	}
	if !m.spec.Reload || time.Since(m.loaded) < reloadInterval {
		return nil
	}
	if err := m.reload(); err != nil {
		m.loaded = time.Now()
		m.w.h.log(m.spec.Name, filter.Error, "VM could not be replaced: "+err.Error())
		return nil
	}
	return m.vm
}

// Name implements [chain.Filter].
func (s *seat) Name() string { return s.name }

// begin starts a plugin context with a configuration; the one before it goes
// when its last stream does.
func (s *seat) begin(configuration []byte) error {
	root, err := s.m.vm.newRoot(s, configuration)
	if err != nil {
		return err
	}
	old := s.root
	s.root = root
	if old != nil {
		old.retire()
	}
	return nil
}
