// Command floor is the empty proxy-wasm plugin: every callback is there and
// does nothing, so it costs what any Go plugin costs at the least.
//
// With a configuration NAME=VALUE it sets that stream property on each request.
// So it stands in for gate where key-swap is measured alone.
package main

import (
	"bytes"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() { proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} }) }

type plugin struct {
	types.DefaultPluginContext
	path  []string // of the property; nil sets none
	value []byte
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return types.OnPluginStartStatusOK // none: the empty plugin
	}
	if name, value, ok := bytes.Cut(config, []byte("=")); ok {
		p.path, p.value = []string{string(name)}, value
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	if p.path == nil {
		return &types.DefaultHttpContext{}
	}
	return &stamp{plugin: p}
}

type stamp struct {
	types.DefaultHttpContext
	plugin *plugin
}

func (s *stamp) OnHttpRequestHeaders(int, bool) types.Action {
	if err := proxywasm.SetProperty(s.plugin.path, s.plugin.value); err != nil {
		proxywasm.LogError("set the property: " + err.Error())
	}
	return types.ActionContinue
}
