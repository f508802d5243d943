// Package host runs a [filter.Plugin] in a proxy-wasm VM. It is the only
// importer of the proxy-wasm SDK.
//
// # Failure
//
// Every callback denies on a panic and on an error. A configuration that can't
// be used never takes a listener down: the last good one stays in force, or
// everything is denied while there is none.
package host

import (
	"errors"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"

	"keyward/plugins/filter"
)

// Run registers the plugin that newPlugin makes; call it from init, the only
// code of a plugin that a host runs by itself. refuse is the reply to a request
// whose handling panicked.
func Run(newPlugin func(filter.Host) filter.Plugin, refuse func() filter.Reply) {
	proxywasm.SetVMContext(&vmContext{new: newPlugin, refuse: refuse, good: map[string]*instance{}})
}

type vmContext struct {
	types.DefaultVMContext
	new    func(filter.Host) filter.Plugin
	refuse func() filter.Reply
	// good is the last plugin with a usable configuration, by root ID: hosts
	// make a new plugin context in the same VM for each new configuration.
	good map[string]*instance
}

// An instance is a plugin with the contexts that it serves: more than one where
// a newer configuration was refused.
type instance struct {
	plugin   filter.Plugin // guarded, so it is filter.Background
	machine  *machine
	contexts int
}

func (i *instance) background() filter.Background { return i.plugin.(filter.Background) }

func (v *vmContext) NewPluginContext(id uint32) types.PluginContext {
	m := &machine{root: id}
	return &pluginContext{id: id, vm: v, instance: &instance{filter.Guard(v.new(m), v.refuse), m, 1}}
}

type pluginContext struct {
	types.DefaultPluginContext
	id uint32
	vm *vmContext
	*instance
}

// OnPluginStart never fails: hosts answer a failure by dropping the listener.
func (p *pluginContext) OnPluginStart(int) types.OnPluginStartStatus {
	root := rootID()
	good := p.vm.good[root]
	if err := p.configure(); err != nil {
		p.machine.Log(filter.Error, "configuration refused, the last good one stays in force: "+err.Error())
		if good != nil && good != p.instance {
			p.instance = good
			p.contexts++
			p.machine.root = p.id
			_ = p.machine.SetTick(p.machine.period) // the older context's ticks end with it
		}
		return types.OnPluginStartStatusOK
	}
	p.machine.Log(filter.Info, "configuration in force")
	if good != nil && good != p.instance {
		good.background().Release()
	}
	p.vm.good[root] = p.instance
	return types.OnPluginStartStatusOK
}

// OnTick is called for each context: the newest one's count.
func (p *pluginContext) OnTick() {
	if p.machine.root == p.id {
		p.background().Tick()
	}
}

func (p *pluginContext) OnPluginDone() bool {
	if p.contexts--; p.contexts == 0 {
		p.background().Release()
	}
	return true
}

func (p *pluginContext) configure() (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic while reading the configuration")
		}
	}()
	config, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return errors.New("no configuration")
	}
	return p.plugin.Configure(config)
}

// rootID tells apart the plugins that share a VM; "" where the host has no name.
func rootID() string {
	b, err := proxywasm.GetProperty([]string{"plugin_root_id"})
	if err != nil {
		return ""
	}
	return string(b)
}

func (p *pluginContext) NewHttpContext(id uint32) types.HttpContext {
	return &httpContext{handler: p.plugin.NewStream(stream{id: id, m: p.machine})}
}

// httpContext translates callbacks of one stream.
type httpContext struct {
	handler filter.Handler
}

// header translates the answer to a header callback: HeaderStopIteration holds
// the headers and still shows the body.
func header(a filter.Action) types.Action {
	if a == filter.Hold {
		return types.HeaderStopIteration
	}
	return types.ActionContinue
}

func action(a filter.Action) types.Action {
	if a == filter.Hold {
		return types.ActionPause
	}
	return types.ActionContinue
}

func (h *httpContext) OnHttpRequestHeaders(_ int, end bool) types.Action {
	return header(h.handler.RequestHeaders(end))
}

func (h *httpContext) OnHttpRequestBody(size int, end bool) types.Action {
	return action(h.handler.RequestBody(size, end))
}

func (h *httpContext) OnHttpRequestTrailers(int) types.Action {
	return action(h.handler.RequestTrailers())
}

func (h *httpContext) OnHttpResponseHeaders(_ int, end bool) types.Action {
	return header(h.handler.ResponseHeaders(end))
}

func (h *httpContext) OnHttpResponseBody(size int, end bool) types.Action {
	return action(h.handler.ResponseBody(size, end))
}

func (h *httpContext) OnHttpResponseTrailers(int) types.Action {
	return action(h.handler.ResponseTrailers())
}

func (h *httpContext) OnHttpStreamDone() { h.handler.Done() }
