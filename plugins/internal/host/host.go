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
	"os"
	"time"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"

	"keyward/plugins/filter"
)

// Run registers the plugin that newPlugin makes; call it from init, the only
// code of a plugin that a host runs by itself. refuse is the reply to a request
// whose handling panicked.
func Run(newPlugin func(filter.Host) filter.Plugin, refuse func() filter.Reply) {
	proxywasm.SetVMContext(&vmContext{new: newPlugin, refuse: refuse, good: map[string]filter.Plugin{}})
}

type vmContext struct {
	types.DefaultVMContext
	new    func(filter.Host) filter.Plugin
	refuse func() filter.Reply
	// good is the last plugin with a usable configuration, by root ID: hosts
	// make a new plugin context in the same VM for each new configuration.
	good map[string]filter.Plugin
}

func (v *vmContext) NewPluginContext(uint32) types.PluginContext {
	return &pluginContext{vm: v, plugin: filter.Guard(v.new(machine{}), v.refuse)}
}

type pluginContext struct {
	types.DefaultPluginContext
	vm     *vmContext
	plugin filter.Plugin
}

// OnPluginStart never fails: hosts answer a failure by dropping the listener.
func (p *pluginContext) OnPluginStart(int) types.OnPluginStartStatus {
	root := rootID()
	if err := p.configure(); err != nil {
		machine{}.Log(filter.Error, "configuration refused, the last good one stays in force: "+err.Error())
		if good := p.vm.good[root]; good != nil {
			p.plugin = good
		}
		return types.OnPluginStartStatusOK
	}
	machine{}.Log(filter.Info, "configuration in force")
	p.vm.good[root] = p.plugin
	return types.OnPluginStartStatusOK
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

func (p *pluginContext) NewHttpContext(uint32) types.HttpContext {
	h := &httpContext{}
	h.handler = p.plugin.NewStream(stream{})
	return h
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

// machine is the VM as a filter.Host.
type machine struct{}

var _ filter.Host = machine{}

func (machine) Log(level filter.Level, line string) {
	switch level {
	case filter.Debug:
		proxywasm.LogDebug(line)
	case filter.Info:
		proxywasm.LogInfo(line)
	case filter.Warn:
		proxywasm.LogWarn(line)
	default:
		proxywasm.LogError(line)
	}
}

func (machine) Now() int64 { return time.Now().UnixNano() }

func (machine) Getenv(name string) string { return os.Getenv(name) }
