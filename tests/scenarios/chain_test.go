package scenarios_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/gate/admission"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/refusal"
	"keyward/policies"
	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/chain/chaintest"
)

// inProcess takes requests through a chain of filters, without a network.
type inProcess struct {
	filters []chain.Filter
	rec     *Recorder
	down    bool
	do      func(step func()) // nil: at once
}

// pluginConfig is a plugin's configuration with a snapshot in it; nil is none.
func pluginConfig(snapshot []byte) []byte {
	if snapshot == nil {
		return []byte("{}")
	}
	return append(append([]byte(`{"snapshot":`), snapshot...), '}')
}

// native is the plugins as what they are in Go, without wasm.
type native struct {
	w     *World
	rec   *Recorder
	hosts []*filtertest.Host
	inProcess
}

func newNative(w *World, rec *Recorder) gateway { return &native{w: w, rec: rec} }

func (n *native) use(t *testing.T, snapshot string) {
	host := &filtertest.Host{
		Time: time.Now().UnixNano(),
		Env:  map[string]string{swap.EnvKeys: n.w.privateKeys(t, snapshot)},
	}
	n.hosts = append(n.hosts, host)
	n.inProcess = inProcess{rec: n.rec, down: snapshot == "down"}
	refuse := func() filter.Reply { return refusal.New(refusal.Problem, policies.Internal, "") }
	for _, p := range []struct {
		name   string
		plugin filter.Plugin
		refuse func() filter.Reply
	}{
		{"gate", admission.New(host), admission.Refuse},
		{"key-swap", swap.New(host), refuse},
	} {
		if err := p.plugin.Configure(pluginConfig(n.w.snapshot(t, snapshot))); err != nil {
			host.Log(filter.Error, err.Error()) // as plugins/internal/host does: it goes on and denies
		}
		n.filters = append(n.filters, chain.Native(p.name, filter.Guard(p.plugin, p.refuse)))
	}
}

func (n *native) logs() string {
	var all strings.Builder
	for _, h := range n.hosts {
		all.WriteString(h.Logged())
	}
	return all.String()
}

// Routes by path prefix, and clusters, are those of deploy/envoy/envoy.yaml.
var (
	routes   = map[string]string{"/mcp": "mcp", "/v1": "llm", "/git": "git", "/api": "api"}
	clusters = []string{"mcp", "llm", "git", "api"}
)

// route is the name of a path's route; "" when it has none.
func route(path string) string {
	path, _, _ = strings.Cut(path, "?")
	for prefix, name := range routes {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return name
		}
	}
	return ""
}

func (p *inProcess) play(protocol string, r request) (*Exchange, error) {
	name := route(r.path)
	exchange := chaintest.Exchange{
		Filters: p.filters,
		Request: message(r),
		Joined:  protocol == "h2c",
		Do:      p.do,

		BufferLimit: 9 << 20, // as in deploy/envoy/envoy.yaml
		Property: func(path []string) ([]byte, bool) {
			if len(path) == 1 && (path[0] == "route_name" || path[0] == "cluster_name") && name != "" {
				return []byte(name), true
			}
			return nil, false
		},
	}
	var record *Record
	exchange.Upstream = func(m filtertest.Message) filtertest.Message {
		record = newRecord(name, m)
		return p.upstream(record)
	}
	x := &Exchange{Sent: time.Now()}
	result := exchange.Run()
	for _, f := range result.Faults {
		return nil, errors.New("fault: " + f.String())
	}
	if result.Client == nil {
		return nil, errors.New("the client waits for ever")
	}
	x.Header, x.Trailer = headers(result.Client.Headers), headers(result.Client.Trailers)
	x.Body = []byte(result.Client.Text())
	x.Status, _ = strconv.Atoi(x.Header.Get(":status"))
	if !result.Answered {
		x.Cut = errors.New("reset")
	}
	switch {
	case result.Upstream == nil:
	case record == nil: // cut before it was whole
		p.rec.begin(newRecord(name, *result.Upstream))
	case result.SentBefore < steps(&exchange):
		record.First = time.Time{} // the upstream saw something before all was sent
	}
	return x, nil
}

// steps is how many steps a client takes to send all of a request.
func steps(e *chaintest.Exchange) int {
	n := len(e.Request.Body)
	switch {
	case n == 0 && e.Request.Trailers == nil:
		return 1
	case e.Joined && n > 0 && e.Request.Trailers == nil:
		return 1 + n
	default:
		return 2 + n
	}
}

func newRecord(cluster string, m filtertest.Message) *Record {
	return &Record{
		Cluster: cluster, First: time.Now(), URI: m.Header(":path"), Header: headers(m.Headers),
		Body: []byte(m.Text()), Trailer: headers(m.Trailers),
	}
}

// message is a request as a chain is fed with it.
func message(r request) filtertest.Message {
	m := filtertest.Message{Headers: [][2]string{
		{":method", r.method}, {":path", r.path}, {":authority", r.host}, {":scheme", "http"},
	}}
	for _, h := range r.headers {
		m.Headers = append(m.Headers, [2]string{strings.ToLower(h[0]), h[1]})
	}
	if r.body != nil && !r.open && m.Header("content-length") == "" {
		m.Headers = append(m.Headers, [2]string{"content-length", strconv.Itoa(length(r.body))})
	}
	for _, p := range r.body {
		m.Body = append(m.Body, string(p.data))
	}
	if r.open && len(r.body) == 0 && len(r.trailers) == 0 {
		m.Body = []string{""}
	}
	m.Trailers = r.trailers
	return m
}

// upstream answers as the recorder does over a network.
func (p *inProcess) upstream(record *Record) filtertest.Message {
	if p.down {
		return filtertest.Message{Headers: [][2]string{{":status", "503"}}}
	}
	reply := p.rec.begin(record)
	switch {
	case reply == nil:
		return filtertest.Message{Headers: [][2]string{{":status", "401"}}, Body: []string{refusedKey}}
	case reply.reset:
		return filtertest.Message{Headers: [][2]string{{":status", "503"}}}
	}
	out := filtertest.Message{Headers: [][2]string{{":status", strconv.Itoa(reply.status)}}, Trailers: pairs(reply.trailers)}
	out.Headers = append(out.Headers, pairs(reply.headers)...)
	for _, piece := range reply.body {
		out.Body = append(out.Body, string(piece.data))
	}
	return out
}

func headers(list [][2]string) http.Header {
	h := http.Header{}
	for _, kv := range list {
		h.Add(kv[0], kv[1])
	}
	return h
}

func pairs(h http.Header) [][2]string {
	var list [][2]string
	for name, values := range h {
		for _, v := range values {
			list = append(list, [2]string{strings.ToLower(name), v})
		}
	}
	return list
}
