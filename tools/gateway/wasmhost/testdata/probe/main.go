// Command probe is a plugin that does what a request's x-do header tells it to:
// "CALLBACK=ACTION" pairs, separated by a space.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() { proxywasm.SetVMContext(&vm{}) }

//go:wasmimport env proxy_log
func rawLog(level, ptr, size uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
func rawRemove(kind, ptr, size uint32) uint32

//go:wasmimport env proxy_close_stream
func rawClose(kind uint32) uint32

type vm struct{ types.DefaultVMContext }

// count is shared by all plugin contexts of a VM.
var count int

func (*vm) NewPluginContext(id uint32) types.PluginContext {
	return &plugin{id: id, live: map[uint32]string{}}
}

type plugin struct {
	types.DefaultPluginContext
	id     uint32
	config string
	live   map[uint32]string // streams that the tick acts on: what it does
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	b, _ := proxywasm.GetPluginConfiguration()
	p.config = string(b)
	if p.config == "refuse" {
		return types.OnPluginStartStatusFailed
	}
	if ms, ok := strings.CutPrefix(p.config, "tick="); ok {
		n, _ := strconv.Atoi(ms)
		_ = proxywasm.SetTickPeriodMilliSeconds(uint32(n))
	}
	if p.config == "hello" {
		proxywasm.LogInfo("hello from " + root())
	}
	return types.OnPluginStartStatusOK
}

func root() string {
	b, _ := proxywasm.GetProperty([]string{"plugin_root_id"})
	return string(b)
}

func (p *plugin) OnPluginDone() bool {
	proxywasm.LogInfo("done " + p.config)
	return true
}

func (p *plugin) OnTick() {
	for id, action := range p.live {
		if proxywasm.SetEffectiveContext(id) != nil {
			continue
		}
		delete(p.live, id)
		switch action {
		case "deny":
			_ = proxywasm.SendHttpResponse(401, nil, []byte("cut"), -1)
		case "resume":
			_ = proxywasm.AddHttpRequestHeader("x-ticked", "1")
			_ = proxywasm.ResumeHttpRequest()
		case "close":
			rawClose(1)
		case "upper":
			_ = proxywasm.AddHttpRequestHeader("X-Upper", "1")
		case "panic":
			panic("boom in a tick")
		}
	}
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext { return &stream{id: id, plugin: p} }

type stream struct {
	types.DefaultHttpContext
	id     uint32
	plugin *plugin
	do     map[string]string
	log    []string
}

func (s *stream) OnHttpRequestHeaders(n int, end bool) types.Action {
	s.do = map[string]string{}
	text, _ := proxywasm.GetHttpRequestHeader("x-do")
	for _, pair := range strings.Fields(text) {
		callback, action, _ := strings.Cut(pair, "=")
		s.do[callback] = action
	}
	return s.run("headers", end)
}

func (s *stream) OnHttpRequestBody(n int, end bool) types.Action {
	s.log = append(s.log, fmt.Sprintf("%d %v", n, end))
	return s.run("body", end)
}

func (s *stream) OnHttpRequestTrailers(int) types.Action             { return s.run("trailers", true) }
func (s *stream) OnHttpResponseHeaders(_ int, end bool) types.Action { return s.run("answer", end) }
func (s *stream) OnHttpResponseBody(_ int, end bool) types.Action    { return s.run("answerbody", end) }

func (s *stream) OnHttpResponseTrailers(int) types.Action { return s.run("answertrailers", true) }

func (s *stream) OnHttpStreamDone() {
	delete(s.plugin.live, s.id)
	if s.do["done"] == "log" {
		path, _ := proxywasm.GetHttpRequestHeader(":path")
		proxywasm.LogInfo("stream done " + path)
	}
}

func set(name string, format string, args ...any) {
	_ = proxywasm.ReplaceHttpRequestHeader(name, fmt.Sprintf(format, args...))
}

func (s *stream) run(callback string, end bool) types.Action {
	action, arg, _ := strings.Cut(s.do[callback], ":")
	if f := acts[action]; f != nil {
		return f(s, arg, end)
	}
	return types.ActionContinue
}

var acts = map[string]func(s *stream, arg string, end bool) types.Action{
	"hold": func(*stream, string, bool) types.Action { return types.ActionPause },
	"holdtoend": func(s *stream, _ string, end bool) types.Action {
		if end {
			set("x-body", "%s", strings.Join(s.log, ","))
			return types.ActionContinue
		}
		return types.ActionPause
	},
	"deny": func(*stream, string, bool) types.Action {
		_ = proxywasm.SendHttpResponseWithDetail(403, "probe", [][2]string{{"content-type", "application/json"}}, []byte("{}"), -1)
		return types.ActionPause
	},
	"denyandstop": func(*stream, string, bool) types.Action {
		_ = proxywasm.SendHttpResponse(403, nil, nil, -1)
		return 4
	},
	"denyandcontinue": func(*stream, string, bool) types.Action {
		_ = proxywasm.SendHttpResponse(403, nil, nil, -1)
		return types.ActionContinue
	},
	"panic":  func(*stream, string, bool) types.Action { panic("boom") },
	"action": func(_ *stream, arg string, _ bool) types.Action { n, _ := strconv.Atoi(arg); return types.Action(n) },
	"upper":  func(*stream, string, bool) types.Action { _ = proxywasm.AddHttpRequestHeader("X-Upper", "1"); return 0 },
	"badcontext": func(*stream, string, bool) types.Action {
		_ = proxywasm.SetEffectiveContext(99999)
		return 0
	},
	"badmemory":   func(*stream, string, bool) types.Action { rawLog(2, 0xfffffff0, 100); return 0 },
	"badmap":      func(*stream, string, bool) types.Action { rawRemove(9, 0, 0); return 0 },
	"badlevel":    func(*stream, string, bool) types.Action { rawLog(77, 0, 0); return 0 },
	"responsemap": func(*stream, string, bool) types.Action { _, _ = proxywasm.GetHttpResponseHeaders(); return 0 },
	"config":      func(s *stream, _ string, _ bool) types.Action { set("x-config", "%s", s.plugin.config); return 0 },
	"lateconfig":  func(*stream, string, bool) types.Action { _, _ = proxywasm.GetPluginConfiguration(); return 0 },
	"resume":      func(*stream, string, bool) types.Action { _ = proxywasm.ResumeHttpRequest(); return 0 },
	"tick":        func(*stream, string, bool) types.Action { _ = proxywasm.SetTickPeriodMilliSeconds(1); return 0 },
	"count": func(*stream, string, bool) types.Action {
		count++
		set("x-count", "%d", count)
		return 0
	},
	"env": func(_ *stream, arg string, _ bool) types.Action {
		v, ok := os.LookupEnv(arg)
		set("x-env", "%s %v %d", v, ok, len(os.Environ())+len(os.Args))
		return 0
	},
	"live": func(s *stream, arg string, _ bool) types.Action {
		s.plugin.live[s.id] = arg
		if arg == "resume" || arg == "upper" {
			return types.ActionPause
		}
		return types.ActionContinue
	},
	"replace": func(_ *stream, arg string, end bool) types.Action {
		if !end {
			return types.ActionPause
		}
		_ = proxywasm.ReplaceHttpRequestBody([]byte(arg))
		return 0
	},
	"replacemended": func(_ *stream, arg string, end bool) types.Action {
		if !end {
			return types.ActionPause
		}
		_ = proxywasm.ReplaceHttpRequestBody([]byte(arg))
		set("content-length", "%d", len(arg))
		return 0
	},
	"callout": callout,
	"share":   share,
	"properties": func(_ *stream, _ string, _ bool) types.Action {
		route, _ := proxywasm.GetProperty([]string{"route_name"})
		path, _ := proxywasm.GetProperty([]string{"request", "path"})
		_, err := proxywasm.GetProperty([]string{"absent"})
		set("x-properties", "%s %s %s %v", root(), route, path, err)
		return 0
	},
	"relay": func(*stream, string, bool) types.Action {
		one, err := proxywasm.GetProperty([]string{"probe"})
		if err != nil {
			_ = proxywasm.SetProperty([]string{"probe"}, []byte("by "+root()))
			return 0
		}
		two, _ := proxywasm.GetProperty([]string{"filter_state", "wasm.probe"})
		set("x-property", "%s, %s", one, two)
		return 0
	},
	"twoproperties": func(*stream, string, bool) types.Action {
		_ = proxywasm.SetProperty([]string{"a", "b"}, []byte("1"))
		return 0
	},
	"headers": func(*stream, string, bool) types.Action {
		joined, _ := proxywasm.GetHttpRequestHeader("x-two")
		empty, emptyErr := proxywasm.GetHttpRequestHeader("x-empty")
		_, absentErr := proxywasm.GetHttpRequestHeader("x-absent")
		all, _ := proxywasm.GetHttpRequestHeaders()
		_ = proxywasm.RemoveHttpRequestHeader("x-two")
		set("x-headers", "%s|%s|%v|%v|%d", joined, empty, emptyErr, absentErr, len(all))
		return 0
	},
	"metrics": func(*stream, string, bool) types.Action {
		c := proxywasm.DefineCounterMetric("probe_total")
		c.Increment(2)
		g := proxywasm.DefineGaugeMetric("probe_now")
		g.Add(5)
		g.Add(-2)
		set("x-metrics", "%d %d", c.Value(), g.Value())
		return 0
	},
	"foreign": func(*stream, string, bool) types.Action {
		level, err := proxywasm.CallForeignFunction("get_log_level", nil)
		_, other := proxywasm.CallForeignFunction("compress", []byte("x"))
		set("x-foreign", "%v %v %v", level, err, other)
		return 0
	},
	"event": func(*stream, string, bool) types.Action {
		b, err := proxywasm.GetHttpResponseBody(0, 1<<20)
		if err == nil {
			_ = proxywasm.ReplaceHttpResponseBody([]byte("[" + string(b) + "]"))
		}
		return 0
	},
	"unlength": func(*stream, string, bool) types.Action {
		_ = proxywasm.RemoveHttpResponseHeader("content-length")
		_ = proxywasm.AddHttpResponseHeader("x-seen-by", root())
		return 0
	},
}

func callout(s *stream, cluster string, _ bool) types.Action {
	headers := [][2]string{{":method", "GET"}, {":path", "/x"}, {":authority", "a"}}
	_, err := proxywasm.DispatchHttpCall(cluster, headers, []byte("q"), nil, 1000, func(n, size, _ int) {
		h, _ := proxywasm.GetHttpCallResponseHeaders()
		b, _ := proxywasm.GetHttpCallResponseBody(0, size)
		set("x-answer", "%v %s", h, b)
		_ = proxywasm.ResumeHttpRequest()
	})
	if err != nil {
		set("x-answer", "%v", err)
		return types.ActionContinue
	}
	return types.ActionPause
}

func share(_ *stream, key string, _ bool) types.Action {
	_, _, missing := proxywasm.GetSharedData(key)
	first := proxywasm.SetSharedData(key, []byte("1"), 0)
	_, cas, _ := proxywasm.GetSharedData(key)
	second := proxywasm.SetSharedData(key, []byte("2"), cas)
	stale := proxywasm.SetSharedData(key, []byte("3"), cas)
	v, _, _ := proxywasm.GetSharedData(key)
	set("x-share", "%v|%v|%v|%v|%s", missing, first, second, stale, v)
	return types.ActionContinue
}
