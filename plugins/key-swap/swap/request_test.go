package swap_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/verdict"
	"keyward/policies"
)

const someToken = "kwt_0000000000000000000000000000000000000000001ahYgH0000"

// Each request is allowed; want is what the upstream gets beside :method and
// :authority.
func TestRequestGetsItsKey(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+basicKey))
	tests := []struct {
		name  string
		allow map[string]string
		in    filtertest.Message
		want  [][2]string
	}{
		{
			"bearer", allow("w1", "bearer", "c-bearer"), request("/mcp"),
			[][2]string{{":path", "/mcp"}, {"authorization", "Bearer " + bearerKey}},
		},
		{
			"a header with a prefix", allow("w1", "header", "c-header"), request("/v1"),
			[][2]string{{":path", "/v1"}, {"x-api-key", "Key " + headerKey}},
		},
		{
			"basic", allow("w1", "basic", "c-basic"), request("/git"),
			[][2]string{{":path", "/git"}, {"authorization", basic}},
		},
		{
			"a query parameter, escaped", allow("w1", "query", "c-query"), request("/q?a=1"),
			[][2]string{{":path", "/q?a=1&api_key=canary%20query%260123456789%3D%3F"}},
		},
		{
			"a consumer's own credential", allow("w2", "header", "c-own"), request("/v1"),
			[][2]string{{":path", "/v1"}, {"x-api-key", "Key " + ownKey}},
		},
		{
			"no credential, nothing injected", allow("w1", "open", ""), request("/o", [2]string{"accept", "*/*"}),
			[][2]string{{":path", "/o"}, {"accept", "*/*"}},
		},
		{
			"a client's own key goes, every one of them", allow("w1", "header", "c-header"),
			request("/v1", [2]string{"x-api-key", "evil"}, [2]string{"x-api-key", "evil2"}, [2]string{"accept", "*/*"}),
			[][2]string{{":path", "/v1"}, {"accept", "*/*"}, {"x-api-key", "Key " + headerKey}},
		},
		{
			"a client's key with an underscore goes", allow("w1", "header", "c-header"), request("/v1", [2]string{"x_api_key", "evil"}),
			[][2]string{{":path", "/v1"}, {"x-api-key", "Key " + headerKey}},
		},
		{
			"credentials in other places go", allow("w1", "header", "c-header"),
			request("/v1", [2]string{"authorization", "Bearer dummy"}, [2]string{"proxy-authorization", "x"}, [2]string{"api-key", "x"},
				[2]string{"x-goog-api-key", "x"}, [2]string{"cookie", "session=1"}),
			[][2]string{{":path", "/v1"}, {"x-api-key", "Key " + headerKey}},
		},
		{
			"ai-proxy's dummy token gives way", allow("w1", "bearer", "c-bearer"), request("/mcp", [2]string{"authorization", "Bearer dummy"}),
			[][2]string{{":path", "/mcp"}, {"authorization", "Bearer " + bearerKey}},
		},
		{
			"what would hide an echo goes", allow("w1", "bearer", "c-bearer"),
			request("/mcp", [2]string{"accept-encoding", "gzip"}, [2]string{"range", "bytes=0-9"}, [2]string{"if-range", "x"}),
			[][2]string{{":path", "/mcp"}, {"authorization", "Bearer " + bearerKey}},
		},
		{
			"a client's token that another plugin kept goes", allow("w1", "open", ""),
			request("/o", [2]string{"x-hi-original-auth", "Bearer x"}, [2]string{"x_hi_original_auth", "x"}),
			[][2]string{{":path", "/o"}},
		},
		{
			"a consumer token goes from wherever it is left", allow("w1", "open", ""),
			request("/o", [2]string{"x-debug", "t=" + someToken}, [2]string{"accept", "*/*"}),
			[][2]string{{":path", "/o"}, {"accept", "*/*"}},
		},
		{
			"without a key other plugins' headers stay", allow("w1", "open", ""), request("/o", [2]string{"authorization", "Bearer theirs"}),
			[][2]string{{":path", "/o"}, {"authorization", "Bearer theirs"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := filtertest.Run(w.plugin, filtertest.Exchange{Request: tt.in, Properties: tt.allow})
			checkClean(t, w, r)
			if r.Upstream == nil {
				t.Fatalf("refused: %s", w.host.Logged())
			}
			want := append([][2]string{{":method", "GET"}, {":authority", "api.github.com"}}, tt.want...)
			if d := cmp.Diff(want, r.Upstream.Headers); d != "" {
				t.Errorf("upstream got (-want +got):\n%s", d)
			}
		})
	}
}

func TestQueryParameterReplacesWhatAClientSent(t *testing.T) {
	const real = "api_key=canary%20query%260123456789%3D%3F"
	tests := []struct{ name, in, want string }{
		{"no query", "/q", "/q?" + real},
		{"an empty query", "/q?", "/q?" + real},
		{"another parameter stays as it is", "/q?a=%7E&b", "/q?a=%7E&b&" + real},
		{"the same name goes", "/q?api_key=evil&a=1", "/q?a=1&" + real},
		{"every one goes", "/q?api_key=1&api_key=2&api_key", "/q?" + real},
		{"percent-encoded it goes", "/q?%61pi%5fkey=evil", "/q?" + real},
		{"percent-encoded in upper case it goes", "/q?api%5Fkey=evil", "/q?" + real},
		{"in another case it goes", "/q?API_Key=evil", "/q?" + real},
		{"behind a semicolon it goes", "/q?a=1;api_key=evil;b=2", "/q?a=1&b=2&" + real},
		{"as a list it goes", "/q?api_key[]=evil&api_key%5B0%5D=evil", "/q?" + real},
		{"with space around it goes", "/q?+api_key%20=evil", "/q?" + real},
		{"a longer name stays", "/q?api_key2=1&my_api_key=2", "/q?api_key2=1&my_api_key=2&" + real},
		{"a broken escape stays", "/q?api%zz=1&%=2&%6", "/q?api%zz=1&%=2&%6&" + real},
		{"a question mark in the query stays", "/q?a=?api_key=1", "/q?a=?api_key=1&" + real},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request(tt.in), Properties: allow("w1", "query", "c-query")})
			checkClean(t, w, r)
			if r.Upstream == nil || r.Upstream.Header(":path") != tt.want {
				t.Errorf("upstream got %v, want path %q", r.Upstream, tt.want)
			}
		})
	}
}

func TestRequestIsRefused(t *testing.T) {
	authority := func(a string, more ...[2]string) filtertest.Message {
		m := request("/mcp", more...)
		m.Headers[1][1] = a
		return m
	}
	cluster := func(name string) map[string]string {
		p := allow("w1", "cluster", "c-bearer")
		p["cluster_name"] = name
		return p
	}
	tests := []struct {
		name       string
		properties map[string]string
		in         filtertest.Message
		change     func(*world)
		want       policies.Reason
	}{
		{"without a verdict", nil, request("/mcp"), nil, policies.NoVerdict},
		{"with a verdict as a header", nil, request("/mcp", [2]string{verdict.Property, "1\nw1\nbearer\nc-bearer\n1\nD1"}), nil, policies.NoVerdict},
		{"with an empty verdict", map[string]string{verdict.Property: ""}, request("/mcp"), nil, policies.NoVerdict},
		{"with another form of verdict", map[string]string{verdict.Property: "2\nw1\nbearer\nc-bearer\n1\nD1"}, request("/mcp"), nil, policies.NoVerdict},
		{"for an unknown target", allow("w1", "none", "c-bearer"), request("/mcp"), nil, policies.NoVerdict},
		{"for an unknown consumer", allow("w9", "bearer", "c-bearer"), request("/mcp"), nil, policies.NoVerdict},
		{"for a suspended consumer", allow("w3", "bearer", "c-bearer"), request("/mcp"), nil, policies.NoVerdict},
		{"with another target's credential", allow("w1", "open", "c-bearer"), request("/mcp"), nil, policies.NoVerdict},
		{"with another credential for the target", allow("w1", "bearer", "c-header"), request("/mcp"), nil, policies.NoVerdict},
		{"with another consumer's own credential", allow("w1", "header", "c-own"), request("/v1"), nil, policies.NoVerdict},
		{"with the target's credential for a consumer that has its own", allow("w2", "header", "c-header"), request("/v1"), nil, policies.NoVerdict},
		{"without a credential where there is one", allow("w1", "bearer", ""), request("/mcp"), nil, policies.NoVerdict},
		{"to another host", allow("w1", "bearer", "c-bearer"), authority("evil.example"), nil, policies.WrongUpstream},
		{"to a host that only the credential has", allow("w1", "bearer", "c-bearer"), authority("mirror.example"), nil, policies.WrongUpstream},
		{"to a look-alike with a suffix", allow("w1", "bearer", "c-bearer"), authority("api.github.com.evil.example"), nil, policies.WrongUpstream},
		{"to a look-alike with user info", allow("w1", "bearer", "c-bearer"), authority("api.github.com@evil.example"), nil, policies.WrongUpstream},
		{"to a look-alike behind a port", allow("w1", "bearer", "c-bearer"), authority("api.github.com:443:evil"), nil, policies.WrongUpstream},
		{"to the host with a dot at its end", allow("w1", "bearer", "c-bearer"), authority("api.github.com."), nil, policies.WrongUpstream},
		{"to no host", allow("w1", "bearer", "c-bearer"), authority(""), nil, policies.WrongUpstream},
		{"with a host header that says otherwise", allow("w1", "bearer", "c-bearer"), authority("api.github.com", [2]string{"host", "evil.example"}), nil, policies.WrongUpstream},
		{"to a host that only the target has", allow("w1", "cluster", "c-bearer"), authority("evil.example"), nil, policies.WrongUpstream},
		{"to another cluster", cluster("bad"), request("/mcp"), nil, policies.WrongUpstream},
		{"to a cluster that the host does not name", allow("w1", "cluster", "c-bearer"), request("/mcp"), nil, policies.WrongUpstream},
		{"with a fragment in its path", allow("w1", "query", "c-query"), request("/q#x"), nil, policies.PathAmbiguous},
		{"with no path to put a query to", allow("w1", "query", "c-query"), request("*"), nil, policies.PathAmbiguous},
		{"when its credential is sealed to another gateway", allow("w1", "bearer", "c-bearer"), request("/mcp"), func(w *world) {
			w.s.Credentials[0].Sealed[0].Key = "other"
		}, policies.NoCredential},
		{"when its credential was altered", allow("w1", "bearer", "c-bearer"), request("/mcp"), func(w *world) {
			w.s.Credentials[0].Sealed[0].Data[1130] ^= 1
		}, policies.NoCredential},
		{"when its credential was moved from another", allow("w1", "bearer", "c-bearer"), request("/mcp"), func(w *world) {
			w.s.Credentials[0].Sealed = w.s.Credentials[1].Sealed
		}, policies.NoCredential},
		{"when its credential was let go elsewhere", allow("w1", "cluster", "c-bearer"), request("/mcp"), func(w *world) {
			w.s.Credentials[0].Upstream.Hosts = nil
			w.s.Targets[4].Upstream = snapshot.Upstream{}
		}, policies.NoCredential},
		{"when the gateway has no key", allow("w1", "bearer", "c-bearer"), request("/mcp"), func(w *world) { w.host.Env = nil }, policies.NoCredential},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.change != nil {
				tt.change(w)
				w.configure(t)
			}
			r := filtertest.Run(w.plugin, filtertest.Exchange{Request: tt.in, Properties: tt.properties})
			checkRefused(t, w, r, tt.want)
		})
	}
}

func checkRefused(t *testing.T, w *world, r *filtertest.Result, want policies.Reason) {
	t.Helper()
	checkClean(t, w, r)
	if r.Upstream != nil {
		t.Errorf("upstream got %v", r.Upstream)
	}
	if r.Reply == nil || r.Reply.Status != want.Refusal().Status || !strings.Contains(string(r.Reply.Body), `"`+string(want)+`"`) {
		t.Errorf("reply = %v, want %s", r.Reply, want)
	}
	if !strings.Contains(w.host.Logged(), "reason="+string(want)) {
		t.Errorf("logged %q, want reason=%s", w.host.Logged(), want)
	}
}

func TestRequestIsRefusedWhenTheHostFails(t *testing.T) {
	for _, method := range []string{"Headers", "Property", "SetHeader", "RemoveHeader"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			r := filtertest.Run(w.plugin, filtertest.Exchange{
				Request:    request("/mcp", [2]string{"cookie", "x"}),
				Properties: allow("w1", "bearer", "c-bearer"), Fail: map[string]error{method: errors.New("broken")},
			})
			checkClean(t, w, r)
			if r.Upstream != nil || r.Reply == nil {
				t.Errorf("upstream got %v, reply %v", r.Upstream, r.Reply)
			}
		})
	}
	t.Run("Reply too", func(t *testing.T) {
		w := newWorld(t)
		r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Fail: map[string]error{"Reply": errors.New("broken")}})
		if r.Upstream != nil {
			t.Errorf("upstream got %v", r.Upstream)
		}
	})
}

// rerouted changes the cluster once a header is changed, as a host does that
// chooses the route again.
type rerouted struct {
	filter.Stream
	cluster string
}

func (r *rerouted) SetHeader(side filter.Side, name, value string) error {
	r.cluster = "bad"
	return r.Stream.SetHeader(side, name, value)
}

func (r *rerouted) Property(path ...string) ([]byte, error) {
	if len(path) == 1 && path[0] == "cluster_name" {
		return []byte(r.cluster), nil
	}
	return r.Stream.Property(path...)
}

func TestRequestIsRefusedWhenInjectingChangesItsRoute(t *testing.T) {
	w := newWorld(t)
	s := filtertest.NewStream(request("/mcp").Headers...)
	s.Properties = allow("w1", "cluster", "c-bearer")
	h := w.plugin.NewStream(&rerouted{s, "good"})
	if a := h.RequestHeaders(false); a != filter.Hold || len(s.Replies) != 1 || s.Replies[0].Status != 403 {
		t.Errorf("action %v, replies %v", a, s.Replies)
	}
	if a := h.RequestBody(1, true); a != filter.Hold {
		t.Errorf("the body of a refused request: action %v", a)
	}
}

// held fails when a canary is left in a stream's request headers, where access
// logs and other plugins read them.
func held(t *testing.T, s *filtertest.Stream) [][2]string {
	t.Helper()
	headers, err := s.Headers(filter.Request)
	if err != nil {
		t.Fatal(err)
	}
	checkNoLeak(t, "the request's headers", (&filtertest.Message{Headers: headers}).String())
	return headers
}

// breaking panics once a header is set, and the host goes on asking.
type breaking struct {
	*filtertest.Stream
	set bool
}

func (b *breaking) SetHeader(side filter.Side, name, value string) error {
	b.set = true
	return b.Stream.SetHeader(side, name, value)
}

func (b *breaking) Property(path ...string) ([]byte, error) {
	if b.set {
		panic("the host")
	}
	if path[0] == "cluster_name" {
		return []byte("good"), nil
	}
	return b.Stream.Property(path...)
}

// replying looks at the request's headers when the refusal is sent, as a host
// may log it at once.
type replying struct {
	rerouted
	t *testing.T
	s *filtertest.Stream
}

func (r *replying) Reply(reply filter.Reply) error {
	held(r.t, r.s)
	return r.rerouted.Reply(reply)
}

func TestARefusedRequestDoesNotKeepItsKey(t *testing.T) {
	w := newWorld(t)
	s := filtertest.NewStream(request("/mcp").Headers...)
	s.Properties = allow("w1", "cluster", "c-bearer")
	h := w.plugin.NewStream(&replying{rerouted{s, "good"}, t, s})
	if a := h.RequestHeaders(false); a != filter.Hold || len(s.Replies) != 1 {
		t.Errorf("action %v, replies %v", a, s.Replies)
	}
	held(t, s)

	t.Run("after a panic", func(t *testing.T) {
		s := filtertest.NewStream(request("/mcp").Headers...)
		s.Properties = allow("w1", "cluster", "c-bearer")
		h := filter.Guard(w.plugin, func() filter.Reply { return filter.Reply{Status: 500} }).NewStream(&breaking{Stream: s})
		if a := h.RequestHeaders(false); a != filter.Hold || len(s.Replies) != 1 {
			t.Errorf("action %v, replies %v", a, s.Replies)
		}
		held(t, s)
	})
}

// In every form of injection the headers are again what they were.
func TestTakingAKeyBackLeavesNothingOfIt(t *testing.T) {
	for _, c := range []struct{ target, credential string }{{"bearer", "c-bearer"}, {"header", "c-header"}, {"query", "c-query"}, {"basic", "c-basic"}} {
		t.Run(c.target, func(t *testing.T) {
			w := newWorld(t)
			in := request("/q?a=1", [2]string{"accept", "*/*"})
			s := filtertest.NewStream(in.Headers...)
			s.Properties = allow("w1", c.target, c.credential)
			h := filter.Guard(w.plugin, func() filter.Reply { return filter.Reply{Status: 500} }).NewStream(&setting{s})
			if a := h.RequestHeaders(false); a != filter.Hold || len(s.Replies) != 1 {
				t.Errorf("action %v, replies %v", a, s.Replies)
			}
			if d := cmp.Diff(in.Headers, held(t, s)); d != "" {
				t.Errorf("the request's headers (-want +got):\n%s", d)
			}
		})
	}
}

// setting sets the header of a key and says that it failed, once.
type setting struct{ *filtertest.Stream }

func (s *setting) SetHeader(side filter.Side, name, value string) error {
	err := s.Stream.SetHeader(side, name, value)
	if value == "/q?a=1" {
		return err
	}
	return errors.New("the host")
}

func TestHostsAreComparedAsNames(t *testing.T) {
	for _, a := range []string{"api.github.com", "API.GitHub.com", "api.github.com:443", "API.github.com:8443"} {
		w := newWorld(t)
		m := request("/mcp")
		m.Headers[1][1] = a
		r := filtertest.Run(w.plugin, filtertest.Exchange{Request: m, Properties: allow("w1", "bearer", "c-bearer")})
		if r.Upstream == nil {
			t.Errorf("%q is refused: %s", a, w.host.Logged())
		}
	}
}

func TestConfigureKeepsTheLastGoodConfiguration(t *testing.T) {
	w := newWorld(t)
	good := w.config()
	for name, bad := range map[string]string{
		"nothing": "", "no JSON": "{", "another member": `{"snapshot":{},"keys":[]}`,
		"a delta":        strings.Replace(string(good), `"generation":1`, `"generation":2,"since":1`, 1),
		"a bad snapshot": strings.Replace(string(good), `"kind":"mcp"`, `"kind":"tcp"`, 1),
	} {
		if err := w.plugin.Configure([]byte(bad)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	w.host.Env[swap.EnvKeys] = "kwg_private_mistyped"
	if err := w.plugin.Configure(good); err == nil || strings.Contains(err.Error(), "mistyped_") {
		t.Errorf("a mistyped gateway key: error = %v", err)
	}
	r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Properties: allow("w1", "bearer", "c-bearer")})
	if r.Upstream == nil {
		t.Errorf("refused: %s", w.host.Logged())
	}
}

func TestUnconfiguredPluginRefuses(t *testing.T) {
	w := &world{host: &filtertest.Host{}}
	w.plugin = swap.New(w.host)
	r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Properties: allow("w1", "bearer", "c-bearer")})
	checkRefused(t, w, r, policies.NoSnapshot)
}

func TestANewVersionTakesOver(t *testing.T) {
	w := newWorld(t)
	run := func() string {
		r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Properties: allow("w1", "bearer", "c-bearer")})
		if r.Upstream == nil {
			t.Fatalf("refused: %s", w.host.Logged())
		}
		return r.Upstream.Header("authorization")
	}
	if got := run(); got != "Bearer "+bearerKey {
		t.Errorf("got %q", got)
	}
	secret, err := seal.NewSecret([]byte("ghp_rotated-0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	c := &w.s.Credentials[0]
	c.Version = 2
	if c.Sealed[0], err = seal.Seal(w.gateway.Public(), secret, seal.For(c)); err != nil {
		t.Fatal(err)
	}
	w.configure(t)
	if got := run(); got != "Bearer ghp_rotated-0123456789" {
		t.Errorf("after rotation got %q", got)
	}
}
