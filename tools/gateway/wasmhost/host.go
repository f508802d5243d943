package wasmhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// DefaultMemoryLimit is what one VM may use; V8's limit in Envoy.
const DefaultMemoryLimit = 1 << 30

// Options are the settings of a [Host]. The zero value works.
type Options struct {
	Workers     int     // VMs per plugin beside the main one; 0: GOMAXPROCS
	CacheDir    string  // for compiled modules; "": each start compiles anew
	Persona     Persona // zero: Higress
	MemoryLimit int64   // bytes per VM; 0: DefaultMemoryLimit
	LogLevel    filter.Level
	// Log takes what plugins log at LogLevel and above; nil drops it. It is
	// called concurrently, as are the others.
	Log func(plugin string, level filter.Level, line string)
	// Fault is told faults outside of streams; nil drops them.
	Fault func(chain.Fault)
	// HasCluster reports whether callouts may go to a cluster; nil: to none.
	HasCluster func(cluster string) bool
	// Call makes a callout. An error reaches the plugin as status 503, or 504
	// when the callout's time is up.
	Call func(ctx context.Context, r CallRequest) (CallResponse, error)
}

// A Plugin is one plugin of a host.
type Plugin struct {
	Name            string // unique; its root ID
	Code            []byte // wasm
	VMID            string // plugins with the same ID share data, and with the same code VMs
	Env             map[string]string
	VMConfiguration []byte
	Configuration   []byte
	// Reload replaces a VM that trapped at the next request, at most once a
	// second. Otherwise its worker denies every request from then on.
	Reload bool
}

// A Host runs plugins in the VMs of its workers. Its methods may be called
// concurrently.
type Host struct {
	opt     Options
	rt      wazero.Runtime
	cache   wazero.CompilationCache
	modules map[[32]byte]*module
	shared  sharedData
	metrics metrics
	stats   stats
	workers []*Worker // the last one is the main one

	configuring sync.Mutex
	calls       sync.WaitGroup // callouts under way
}

// New compiles plugins, starts their VMs on every worker and configures them,
// on the main worker first. It is all or nothing.
func New(ctx context.Context, plugins []Plugin, opt Options) (_ *Host, err error) {
	h := &Host{opt: opt, modules: map[[32]byte]*module{}}
	defer func() {
		if err != nil {
			h.Close(ctx)
		}
	}()
	if err := h.newRuntime(ctx); err != nil {
		return nil, err
	}
	if err := checkPlugins(plugins); err != nil {
		return nil, err
	}
	n := cmp.Or(opt.Workers, runtime.GOMAXPROCS(0))
	for range n + 1 {
		h.workers = append(h.workers, &Worker{h: h})
	}
	for i := range plugins {
		m, err := h.compile(ctx, plugins[i].Code)
		if err != nil {
			return nil, fmt.Errorf("plugin %q: %w", plugins[i].Name, err)
		}
		for _, w := range h.mainFirst() {
			if err := w.start(m, plugins[i]); err != nil {
				return nil, fmt.Errorf("plugin %q: %w", plugins[i].Name, err)
			}
		}
	}
	return h, nil
}

func (h *Host) newRuntime(ctx context.Context) error {
	const page = 64 << 10
	limit := cmp.Or(h.opt.MemoryLimit, DefaultMemoryLimit)
	c := wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32((limit + page - 1) / page)).WithDebugInfoEnabled(false)
	if h.opt.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(h.opt.CacheDir)
		if err != nil {
			return fmt.Errorf("compilation cache %q: %w", h.opt.CacheDir, err)
		}
		h.cache = cache
		c = c.WithCompilationCache(cache)
	}
	h.rt = wazero.NewRuntimeWithConfig(ctx, c)
	return h.instantiateImports(ctx)
}

func checkPlugins(plugins []Plugin) error {
	names := map[string]bool{}
	for _, p := range plugins {
		if p.Name == "" || names[p.Name] {
			return fmt.Errorf("plugin name %q is empty or not unique", p.Name)
		}
		names[p.Name] = true
	}
	return nil
}

// mainFirst are all workers in the order in which they take a configuration: a
// bad one stops at the main worker, which serves no request.
func (h *Host) mainFirst() []*Worker {
	last := len(h.workers) - 1
	return append([]*Worker{h.workers[last]}, h.workers[:last]...)
}

// Workers are the workers that serve requests.
func (h *Host) Workers() []*Worker { return h.workers[:len(h.workers)-1] }

// Configure gives a plugin a new configuration on every worker. When the plugin
// refuses it on the main worker, the old one stays in force everywhere.
func (h *Host) Configure(name string, configuration []byte) error {
	h.configuring.Lock()
	defer h.configuring.Unlock()
	var errs []error
	for i, w := range h.mainFirst() {
		err := w.configure(name, configuration)
		if err != nil && i == 0 {
			return fmt.Errorf("plugin %q: %w", name, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Metrics are all metrics that plugins have defined, in the order in which they
// did.
func (h *Host) Metrics() []Metric { return h.metrics.snapshot() }

// Close ends all plugins and frees their VMs. No stream may be open.
func (h *Host) Close(ctx context.Context) error {
	for _, w := range h.workers {
		w.close()
	}
	h.calls.Wait()
	var err error
	if h.rt != nil {
		err = h.rt.Close(ctx)
	}
	if h.cache != nil {
		err = errors.Join(err, h.cache.Close(ctx))
	}
	return err
}

func (h *Host) log(plugin string, level filter.Level, line string) {
	if h.opt.Log != nil && level >= h.opt.LogLevel {
		h.opt.Log(plugin, level, line)
	}
}

func (h *Host) fault(f chain.Fault) {
	if h.opt.Fault != nil {
		h.opt.Fault(f)
	}
}

// reloadInterval is how long a VM must have lived to be replaced at once when
// it traps; Envoy's default base interval.
const reloadInterval = time.Second
