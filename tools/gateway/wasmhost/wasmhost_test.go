package wasmhost_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/chain/chaintest"
	"keyward/tools/gateway/wasmhost"
	"keyward/tools/gateway/wasmhost/wasmtest"
	"keyward/tools/wasmlink/link"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// A rig is a host and what it told.
type rig struct {
	*wasmhost.Host
	mu     sync.Mutex
	lines  []string
	faults []chain.Fault
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func newRig(t testing.TB, opt wasmhost.Options, plugins ...wasmhost.Plugin) *rig {
	t.Helper()
	r, err := tryRig(t, opt, plugins...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryRig(t testing.TB, opt wasmhost.Options, plugins ...wasmhost.Plugin) (*rig, error) {
	t.Helper()
	r := &rig{}
	opt.CacheDir = wasmtest.CacheDir(t)
	if opt.Workers == 0 {
		opt.Workers = 1
	}
	opt.Log = func(plugin string, level filter.Level, line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, fmt.Sprintf("%s %d %s", plugin, level, line))
	}
	opt.Fault = func(f chain.Fault) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.faults = append(r.faults, f)
	}
	h, err := wasmhost.New(context.Background(), plugins, opt)
	if err != nil {
		return nil, err
	}
	r.Host = h
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r, nil
}

func probe(t testing.TB, name, config string) wasmhost.Plugin {
	return wasmhost.Plugin{Name: name, Code: wasmtest.Build(t, "testdata/probe"), Configuration: []byte(config)}
}

// run sends one request through the first worker.
func (r *rig) run(do string, e chaintest.Exchange) *chaintest.Result {
	return r.runOn(r.Workers()[0], do, e)
}

func (r *rig) runOn(w *wasmhost.Worker, do string, e chaintest.Exchange) *chaintest.Result {
	method := "GET"
	if e.Request.Body != nil || e.Request.Trailers != nil {
		method = "POST"
	}
	e.Request.Headers = append([][2]string{{":method", method}, {":path", "/p?q"}, {":authority", "h"}, {"x-do", do}}, e.Request.Headers...)
	e.Filters = w.Filters()
	e.Do = w.Do
	e.Patience = patience
	return e.Run()
}

var anAnswer = func(filtertest.Message) filtertest.Message {
	return filtertest.Message{Headers: [][2]string{{":status", "200"}, {"content-length", "2"}}, Body: []string{"a", "b"}}
}

func body(pieces ...string) chaintest.Exchange {
	return chaintest.Exchange{Request: filtertest.Message{Body: pieces}}
}

func TestWhatAPluginSees(t *testing.T) {
	r := newRig(t, wasmhost.Options{}, wasmhost.Plugin{
		Name: "probe", Code: wasmtest.Build(t, "testdata/probe"), Configuration: []byte("hello"),
		Env: map[string]string{"KEY": "secret"},
	})
	withTwo := chaintest.Exchange{Request: filtertest.Message{Headers: [][2]string{{"x-two", "1"}, {"x-empty", ""}, {"x-two", "2"}}}}
	withProperty := chaintest.Exchange{Property: func(path []string) ([]byte, bool) {
		return []byte(strings.Join(path, "-")), true
	}}
	trailers := chaintest.Exchange{Request: filtertest.Message{Body: []string{"ab"}, Trailers: [][2]string{{"t", "1"}}}}
	tests := []struct {
		name, do     string
		e            chaintest.Exchange
		header, want string // at the upstream
	}{
		{"its configuration", "headers=config", chaintest.Exchange{}, "x-config", "hello"},
		{"only the environment that is configured, and no arguments", "headers=env:KEY", chaintest.Exchange{}, "x-env", "secret true 1"},
		{"nothing else of the environment", "headers=env:PATH", chaintest.Exchange{}, "x-env", " false 1"},
		{"duplicate, empty and absent headers", "headers=headers", withTwo, "x-headers", "1,2||<nil>|error status returned by host: not found|7"},
		{"held body pieces, growing", "headers=hold body=holdtoend", body("ab", "c"), "x-body", "2 false,3 false,3 true"},
		{"body pieces that are let go, one by one", "headers=hold", body("ab", "c"), "x-body", ""},
		{"trailers as the end", "headers=hold body=hold trailers=holdtoend", trailers, "x-body", "2 false"},
		{"properties", "headers=properties", withProperty, "x-properties", "probe route_name request-path error status returned by host: not found"},
		{
			"shared data with compare-and-swap", "headers=share:k",
			chaintest.Exchange{},
			"x-share",
			"error status returned by host: not found|<nil>|<nil>|error status returned by host: cas mismatch|2",
		},
		{"metrics", "headers=metrics", chaintest.Exchange{}, "x-metrics", "2 3"},
		{"one foreign function", "headers=foreign", chaintest.Exchange{}, "x-foreign", "[1 0 0 0] <nil> error status returned by host: not found"},
		{"a callout to an unknown cluster as a bad argument", "headers=callout:nowhere", chaintest.Exchange{}, "x-answer", "error status returned by host: bad argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := r.run(tt.do, tt.e)
			if len(res.Faults) > 0 || res.Upstream == nil {
				t.Fatalf("faults %v, upstream %v, client %v, log:\n%s", res.Faults, res.Upstream, res.Client, r.logged())
			}
			if got := res.Upstream.Header(tt.header); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.header, got, tt.want)
			}
		})
	}
	if !strings.Contains(r.logged(), "probe 1 hello from probe") {
		t.Errorf("the plugin's log line is missing:\n%s", r.logged())
	}
	if m := r.Metrics(); len(m) != 2 || m[0] != (wasmhost.Metric{Name: "probe_total", Kind: wasmhost.Counter, Value: 2}) {
		t.Errorf("metrics: %v", m)
	}
}

func TestDenialsAndAnswers(t *testing.T) {
	r := newRig(t, wasmhost.Options{}, probe(t, "probe", ""))
	t.Run("a denial at the end of the body leaves the upstream without a byte", func(t *testing.T) {
		res := r.run("headers=hold body=deny answer=unlength", body("ab"))
		if res.Upstream != nil || res.Client.Header(":status") != "403" || res.Client.Text() != "{}" || res.Detail != "probe" {
			t.Errorf("upstream %v, client %v, detail %q", res.Upstream, res.Client, res.Detail)
		}
		if got := res.Client.Header("x-seen-by"); got != "probe" {
			t.Errorf("the denying plugin's own response callback: got %q", got)
		}
	})
	t.Run("a denial stops a request, of which nothing more is shown", func(t *testing.T) {
		res := r.run("headers=denyandstop body=panic trailers=panic", body("ab"))
		if res.Upstream != nil || res.Client.Header(":status") != "403" || len(res.Faults) > 0 {
			t.Errorf("upstream %v, client %v, faults %v", res.Upstream, res.Client, res.Faults)
		}
	})
	t.Run("an answer is edited piece by piece", func(t *testing.T) {
		res := r.run("answer=unlength answerbody=event", chaintest.Exchange{Upstream: anAnswer})
		if got := strings.Join(res.Client.Body, " "); got != "[a] [b]" || len(res.Faults) > 0 {
			t.Errorf("got %q, faults %v", got, res.Faults)
		}
	})
	t.Run("a mended replacement goes upstream", func(t *testing.T) {
		e := body("ab")
		e.Request.Headers = [][2]string{{"content-length", "2"}}
		res := r.run("headers=hold body=replacemended:longer", e)
		if res.Upstream.Text() != "longer" || res.Upstream.Header("content-length") != "6" || len(res.Faults) > 0 {
			t.Errorf("upstream %v, faults %v", res.Upstream, res.Faults)
		}
	})
	t.Run("the end of a stream is told", func(t *testing.T) {
		r.run("done=log", chaintest.Exchange{})
		if !strings.Contains(r.logged(), "stream done /p?q") {
			t.Errorf("log:\n%s", r.logged())
		}
	})
}

func TestMisuseIsAFaultAndDenies(t *testing.T) {
	r := newRig(t, wasmhost.Options{}, probe(t, "probe", ""))
	sized := body("ab")
	sized.Request.Headers = [][2]string{{"content-length", "2"}}
	tests := []struct {
		name, do string
		e        chaintest.Exchange
		want     string
	}{
		{"a context that is not there", "headers=badcontext", chaintest.Exchange{}, "in request headers: chooses a context that is not there"},
		{"memory outside of the VM", "headers=badmemory", chaintest.Exchange{}, "in request headers: passes memory that is not its own"},
		{"a header map that is none", "headers=badmap", chaintest.Exchange{}, "in request headers: changes a header map that can't be changed"},
		{"a log level that is none", "headers=badlevel", chaintest.Exchange{}, "in request headers: logs at a level that is none"},
		{"response headers in the request", "headers=responsemap", chaintest.Exchange{}, "in request headers: reads response headers that are not there"},
		{"the configuration too late", "headers=lateconfig", chaintest.Exchange{}, "in request headers: reads its configuration outside of the callback for it"},
		{"a header in upper case", "headers=upper", chaintest.Exchange{}, "in request headers: header name is no lower-case token"},
		{"an unknown action", "headers=action:2", chaintest.Exchange{}, "in request headers: returns action 2, which hosts treat differently"},
		{"a continue after a reply", "headers=denyandcontinue", chaintest.Exchange{}, "in request headers: continue after a reply"},
		{"holding headers at the end", "headers=hold", chaintest.Exchange{}, "in request headers: holds the end, and nothing will resume it"},
		{"stopping a request for good", "headers=action:4 body=panic", body("a"), "in request headers: holds the end, and nothing will resume it"},
		{"holding the end of a body", "headers=hold body=hold", body("a"), "in request body: holds the end, and nothing will resume it"},
		{"resuming in a callback", "headers=resume", chaintest.Exchange{}, "in request headers: resumes a request that it does not hold"},
		{"a tick for a stream", "headers=tick", chaintest.Exchange{}, "in request headers: sets a tick period outside of a plugin context"},
		{"a property of two names", "headers=twoproperties", chaintest.Exchange{}, "in request headers: sets a property by other than one name"},
		{"another length after a replacement", "headers=hold body=replace:longer", sized, "replaced the request body and left another content-length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := r.run(tt.do, tt.e)
			if len(res.Faults) != 1 || res.Faults[0].String() != "probe: "+tt.want {
				t.Errorf("faults: got %v, want %q", res.Faults, tt.want)
			}
			if res.Upstream != nil || res.Client == nil || res.Client.Header(":status") != "503" {
				t.Errorf("upstream %v, client %v", res.Upstream, res.Client)
			}
		})
	}
	if got := r.run("headers=count", chaintest.Exchange{}).Upstream; got == nil || got.Header("x-count") != "1" {
		t.Errorf("the VM does not live on after faults: %v", got)
	}
}

func TestTraps(t *testing.T) {
	t.Run("a dead VM denies for ever, on its worker alone", func(t *testing.T) {
		r := newRig(t, wasmhost.Options{Workers: 2}, probe(t, "probe", ""))
		for _, do := range []string{"headers=panic", "headers=count", "headers=count"} {
			res := r.run(do, chaintest.Exchange{})
			if res.Upstream != nil || res.Client.Header(":status") != "503" {
				t.Errorf("%s: upstream %v, client %v", do, res.Upstream, res.Client)
			}
		}
		if res := r.runOn(r.Workers()[1], "headers=count", chaintest.Exchange{}); res.Upstream == nil {
			t.Error("the other worker denies, too")
		}
		if got := r.Stats(); got != (wasmhost.Stats{Traps: 1}) {
			t.Errorf("stats: %+v", got)
		}
		if log := r.logged(); !strings.Contains(log, "panic: boom") || !strings.Contains(log, "VM died") {
			t.Errorf("log:\n%s", log)
		}
	})
	t.Run("a held stream and a response under way end with their VM", func(t *testing.T) {
		r := newRig(t, wasmhost.Options{}, probe(t, "probe", ""))
		w := r.Workers()[0]
		var held, streaming capture
		hs, ss := held.open(w, "headers=hold body=holdtoend"), streaming.open(w, "")
		w.Do(func() { hs.RequestBody([]byte("a"), false) })
		w.Do(func() { ss.RequestBody(nil, true) })
		w.Do(func() { ss.ResponseHeaders(chain.NewHeaders([2]string{":status", "200"}), false) })
		r.run("headers=panic", chaintest.Exchange{})
		w.Do(func() { hs.RequestBody(nil, true) })
		w.Do(func() { ss.ResponseBody([]byte("event"), false) })
		if held.status != "503" || held.upstream {
			t.Errorf("held stream: %+v", held)
		}
		if streaming.status != "200" || !streaming.reset {
			t.Errorf("streaming response: %+v", streaming)
		}
		w.Do(hs.Close)
		w.Do(ss.Close)
	})
	t.Run("a VM is replaced at the next request, at most once a second", func(t *testing.T) {
		p := probe(t, "probe", "c")
		p.Reload = true
		r := newRig(t, wasmhost.Options{}, p)
		time.Sleep(1100 * time.Millisecond) // so long a VM must have lived
		r.run("headers=panic", chaintest.Exchange{})
		if res := r.run("headers=config", chaintest.Exchange{}); res.Upstream == nil || res.Upstream.Header("x-config") != "c" {
			t.Fatalf("not replaced: %v", res.Client)
		}
		r.run("headers=panic", chaintest.Exchange{})
		if res := r.run("headers=config", chaintest.Exchange{}); res.Upstream != nil {
			t.Error("replaced again at once")
		}
		if got := r.Stats(); got != (wasmhost.Stats{Traps: 2, Reloads: 1}) {
			t.Errorf("stats: %+v", got)
		}
	})
}

// capture is both sinks of a stream that a test drives itself.
type capture struct {
	status          string
	upstream, reset bool
}

func (c *capture) open(w *wasmhost.Worker, do string) *chain.Stream {
	s := chain.New(chain.Options{Filters: w.Filters(), Upstream: upstreamOf{c}, Client: c})
	w.Do(func() {
		s.RequestHeaders(chain.NewHeaders([2]string{":method", "POST"}, [2]string{":path", "/"}, [2]string{"x-do", do}), false)
	})
	return s
}

func (c *capture) Headers(h *chain.Headers, _ bool) { c.status, _ = h.Get(":status") }
func (c *capture) Body([]byte, bool)                {}
func (c *capture) Trailers(*chain.Headers)          {}
func (c *capture) Reset()                           { c.reset = true }

type upstreamOf struct{ c *capture }

func (u upstreamOf) Headers(*chain.Headers, bool) { u.c.upstream = true }
func (u upstreamOf) Body([]byte, bool)            {}
func (u upstreamOf) Trailers(*chain.Headers)      {}
func (u upstreamOf) Reset()                       {}

func TestTicksActOnStreams(t *testing.T) {
	r := newRig(t, wasmhost.Options{}, probe(t, "probe", "tick=5"))
	t.Run("resume", func(t *testing.T) {
		res := r.run("headers=live:resume", chaintest.Exchange{})
		if res.Upstream == nil || res.Upstream.Header("x-ticked") != "1" || len(res.Faults) > 0 {
			t.Errorf("upstream %v, client %v, faults %v", res.Upstream, res.Client, res.Faults)
		}
	})
	t.Run("a fault in a tick denies the stream it is about", func(t *testing.T) {
		res := r.run("headers=live:upper", chaintest.Exchange{})
		if len(res.Faults) != 1 || res.Client.Header(":status") != "503" {
			t.Errorf("client %v, faults %v", res.Client, res.Faults)
		}
	})
	for _, do := range []string{"deny", "close"} {
		t.Run(do+" cuts a response under way", func(t *testing.T) {
			// The answer never ends by itself.
			w := r.Workers()[0]
			var c capture
			s := c.open(w, "headers=live:"+do)
			w.Do(func() { s.RequestBody(nil, true) })
			w.Do(func() { s.ResponseHeaders(chain.NewHeaders([2]string{":status", "200"}), false) })
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				var done bool
				w.Do(func() { done = s.Done() })
				if done || time.Now().After(deadline) {
					break
				}
			}
			w.Do(s.Close)
			if c.status != "200" && c.status != "401" || c.status == "200" && !c.reset {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestCallouts(t *testing.T) {
	opt := wasmhost.Options{
		HasCluster: func(name string) bool { return name != "nowhere" },
		Call: func(ctx context.Context, r wasmhost.CallRequest) (wasmhost.CallResponse, error) {
			switch r.Cluster {
			case "down":
				return wasmhost.CallResponse{}, errors.New("refused")
			case "slow":
				<-ctx.Done()
				return wasmhost.CallResponse{}, ctx.Err()
			}
			return wasmhost.CallResponse{Headers: [][2]string{{":status", "200"}}, Body: append([]byte("re "), r.Body...)}, nil
		},
	}
	r := newRig(t, opt, probe(t, "probe", ""))
	for cluster, want := range map[string]string{
		"up": "[[:status 200]] re q", "down": "[[:status 503]] ", "slow": "[[:status 504]] ",
	} {
		res := r.run("headers=callout:"+cluster, chaintest.Exchange{})
		if res.Upstream == nil || res.Upstream.Header("x-answer") != want || len(res.Faults) > 0 {
			t.Errorf("%s: upstream %v, faults %v, want %q", cluster, res.Upstream, res.Faults, want)
		}
	}
}

func TestVMsAndSharedData(t *testing.T) {
	a, b, c := probe(t, "a", ""), probe(t, "b", ""), probe(t, "c", "")
	a.VMID, b.VMID, c.VMID = "one", "one", "two"
	r := newRig(t, wasmhost.Options{Workers: 2}, a, b, c)
	res := r.run("headers=count", chaintest.Exchange{})
	if got := res.Upstream.Header("x-count"); got != "1" {
		t.Errorf("the third plugin's VM of its own counts %q, want 1", got)
	}
	res = r.run("headers=count", chaintest.Exchange{})
	if got := res.Upstream.Header("x-count"); got != "2" {
		t.Errorf("second request: got %q, want 2", got)
	}
	res = r.runOn(r.Workers()[1], "headers=count", chaintest.Exchange{})
	if got := res.Upstream.Header("x-count"); got != "1" {
		t.Errorf("the other worker's VM counts %q, want 1", got)
	}
	res = r.run("headers=share:k", chaintest.Exchange{})
	if got := res.Upstream.Header("x-share"); !strings.HasPrefix(got, "error status returned by host: not found|") {
		t.Errorf("another vm_id's data is visible: %q", got)
	}
}

func TestPropertiesPassToLaterPlugins(t *testing.T) {
	r := newRig(t, wasmhost.Options{}, probe(t, "a", ""), probe(t, "b", ""))
	// Both do the same: who finds the property tells of it, who does not sets it.
	for range 2 { // once more: it belongs to one stream
		res := r.run("headers=relay", chaintest.Exchange{Request: filtertest.Message{Headers: [][2]string{{"probe", "forged"}}}})
		if got := res.Upstream.Header("x-property"); got != "by a, by a" {
			t.Errorf("b read %q, want what a set by both paths", got)
		}
	}
}

func TestConfigure(t *testing.T) {
	r := newRig(t, wasmhost.Options{Workers: 2}, probe(t, "probe", "old"))
	config := func(w int) string {
		return r.runOn(r.Workers()[w], "headers=config", chaintest.Exchange{}).Upstream.Header("x-config")
	}
	if err := r.Configure("probe", []byte("refuse")); err == nil || config(0) != "old" || config(1) != "old" {
		t.Errorf("after a refused configuration: error %v, in force %q and %q", err, config(0), config(1))
	}
	if err := r.Configure("probe", []byte("new")); err != nil || config(0) != "new" || config(1) != "new" {
		t.Errorf("after a good configuration: error %v, in force %q and %q", err, config(0), config(1))
	}
	if err := r.Configure("other", nil); err == nil {
		t.Error("an unknown plugin was configured")
	}
	if n := strings.Count(r.logged(), "done old"); n != 3 {
		t.Errorf("the old configuration ended %d times, want once on each of 3 workers", n)
	}
	if _, err := tryRig(t, wasmhost.Options{}, probe(t, "probe", "refuse")); err == nil {
		t.Error("a host starts with a refused configuration")
	}
}

func TestLoading(t *testing.T) {
	code := wasmtest.Build(t, "testdata/probe")
	t.Run("vanilla Envoy knows no plugin with Higress' version alone", func(t *testing.T) {
		_, err := tryRig(t, wasmhost.Options{Persona: wasmhost.Envoy}, probe(t, "probe", ""))
		if err == nil || !strings.Contains(err.Error(), "no export names an ABI version that envoy knows") {
			t.Errorf("got %v", err)
		}
	})
	linked, err := link.Export(code)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("vanilla Envoy holds headers of a linked plugin", func(t *testing.T) {
		r := newRig(t, wasmhost.Options{Persona: wasmhost.Envoy}, wasmhost.Plugin{Name: "x", Code: linked})
		if res := r.run("headers=hold body=holdtoend", body("ab")); res.Upstream == nil || len(res.Faults) > 0 {
			t.Errorf("client %v, faults %v", res.Client, res.Faults)
		}
	})
	t.Run("Higress would hang on held headers with the older version", func(t *testing.T) {
		old := []byte(strings.Replace(string(linked), "proxy_abi_version_0_2_100", "proxy_abi_version_unknown", 1))
		r := newRig(t, wasmhost.Options{}, wasmhost.Plugin{Name: "x", Code: old})
		res := r.run("headers=hold body=holdtoend", body("ab"))
		if len(res.Faults) != 1 || !strings.Contains(res.Faults[0].Text, "calls no body callback") {
			t.Errorf("faults %v", res.Faults)
		}
	})
	t.Run("no wasm at all", func(t *testing.T) {
		if _, err := tryRig(t, wasmhost.Options{}, wasmhost.Plugin{Name: "x", Code: []byte("#!/bin/sh")}); err == nil {
			t.Error("loaded")
		}
	})
	t.Run("a missing import", func(t *testing.T) {
		other := []byte(strings.Replace(string(code), "proxy_set_tick_period_milliseconds", "proxy_set_tock_period_milliseconds", 1))
		_, err := tryRig(t, wasmhost.Options{}, wasmhost.Plugin{Name: "x", Code: other})
		if err == nil || !strings.Contains(err.Error(), "which this host does not offer") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("two plugins of one name", func(t *testing.T) {
		if _, err := tryRig(t, wasmhost.Options{}, probe(t, "x", ""), probe(t, "x", "")); err == nil {
			t.Error("loaded")
		}
	})
	t.Run("plugins of one VM with different environments", func(t *testing.T) {
		p := probe(t, "y", "")
		p.Env = map[string]string{"KEY": "v"}
		if _, err := tryRig(t, wasmhost.Options{}, probe(t, "x", ""), p); err == nil {
			t.Error("loaded")
		}
	})
}

func TestStreamsOfSeveralWorkersRunAtOnce(t *testing.T) {
	r := newRig(t, wasmhost.Options{Workers: 3}, probe(t, "probe", "tick=1"))
	var wg sync.WaitGroup
	for _, w := range r.Workers() {
		for range 4 {
			wg.Go(func() {
				for range 20 {
					res := r.runOn(w, "headers=hold body=holdtoend", body("ab", "c"))
					if res.Upstream == nil || res.Upstream.Text() != "abc" {
						t.Errorf("upstream %v, client %v", res.Upstream, res.Client)
					}
				}
			})
		}
	}
	wg.Wait()
}
