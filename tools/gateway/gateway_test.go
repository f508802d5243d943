package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/tools/gateway/wasmhost/wasmtest"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// A rig is a gateway that serves, and its log.
type rig struct {
	*Gateway
	stop context.CancelFunc
	done chan error

	mu  sync.Mutex
	out bytes.Buffer
}

func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(b)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// waitLog waits for a text in the log.
func (r *rig) waitLog(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(r.logged(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q in the log:\n%s", text, r.logged())
		}
	}
}

// serve starts a gateway whose one plugin is the probe of package wasmhost. In
// text, DIR is a folder with probe.wasm.
func serve(t *testing.T, dir, text string) *rig {
	t.Helper()
	code := wasmtest.Build(t, "wasmhost/testdata/probe")
	if err := os.WriteFile(filepath.Join(dir, "probe.wasm"), code, 0o600); err != nil {
		t.Fatal(err)
	}
	text = "persona: higress\nworkers: 2\ncompile_cache: " + wasmtest.CacheDir(t) + "\n" + text
	c, err := parse(filepath.Join(dir, "gateway.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{done: make(chan error, 1)}
	log := slog.New(slog.NewJSONHandler(r, nil))
	if r.Gateway, err = New(t.Context(), c, log); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		if err := <-r.done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return r
}

// withUpstreams is the usual configuration: h1, h2 and down are clusters.
func withUpstreams(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = protocols
	s.Start()
	t.Cleanup(s.Close)
	return fmt.Sprintf(`
listeners: [{address: "127.0.0.1:0"}]
admin: 127.0.0.1:0
limits: {body_timeout: 1s, drain_timeout: 500ms, buffer_bytes: 1000}
clusters:
  - {name: h1, urls: [%[1]q]}
  - {name: h2, urls: [%[1]q], http2: true}
  - {name: down, urls: ["http://127.0.0.1:1"]}
routes:
  - {name: one, path: /, cluster: h1}
  - {name: two, path: /h2, cluster: h2}
  - {name: down, path: /down, cluster: down}
  - {name: moved, path: /old, cluster: h1, prefix_rewrite: /new, host_rewrite: new.test}
  - {name: slow, path: /slow, cluster: h1, timeout: 50ms}
plugins:
  - {name: probe, file: probe.wasm, configuration: hello}
`, s.URL)
}

// echo answers with what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/x" { // the probe's callout
		return
	}
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
	_ = r.Header.Write(w)
	fmt.Fprintf(w, "body=%s trailers=%v", b, r.Trailer)
}

// client speaks one protocol.
func client(h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true}, Timeout: patience}
}

func do(t *testing.T, c *http.Client, r *http.Request) (status int, body string) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	g := serve(t, t.TempDir(), withUpstreams(t, echo))
	tests := []struct {
		name, method, path, do string
		body                   string
		trailer                bool
		status                 int
		want, wantNot          string
	}{
		{name: "a request passes", path: "/a?b=c", status: 200, want: "GET /a?b=c 127.0.0.1", wantNot: "User-Agent"},
		{name: "a plugin changes its headers", path: "/", do: "headers=config", status: 200, want: "X-Config: hello"},
		{name: "a plugin knows its route", path: "/", do: "headers=properties", status: 200, want: "X-Properties: probe one /"},
		{name: "the path goes on as it came", path: "/a//b/%2e%2E/./../c;d?e=%zz", status: 200, want: "/a//b/%2e%2E/./../c;d?e=%zz"},
		{name: "two slashes at the start", path: "//a/b?c", status: 200, want: "GET //a/b?c "},
		{name: "a route rewrites path and host", path: "/old/a?b", status: 200, want: "GET /new/a?b new.test"},
		{name: "a held body goes on whole", method: "POST", path: "/", do: "headers=hold body=holdtoend", body: "abc", status: 200, want: "body=abc"},
		{name: "a denial", method: "POST", path: "/", do: "headers=hold body=deny", body: "abc", status: 403, want: "{}"},
		{name: "a held body over the limit", method: "POST", path: "/", do: "headers=hold body=holdtoend", body: strings.Repeat("x", 1001), status: 413, want: "Payload Too Large"},
		{name: "trailers go on over HTTP/2", method: "POST", path: "/h2", do: "headers=hold body=hold trailers=holdtoend", body: "abc", trailer: true, status: 200, want: "body=abc trailers="},
		{name: "an upstream that is down", path: "/down", status: 503, want: `"reason":"upstream_unavailable"`},
		{name: "a plugin's fault", path: "/", do: "headers=upper", status: 503},
		{name: "a callout to a cluster", path: "/", do: "headers=callout:h1", status: 200, want: "X-Answer: [[:status 200]"},
		{name: "HTTP/2 upstream", path: "/h2", status: 200, want: "GET /h2"},
		{name: "no body to HEAD", method: "HEAD", path: "/", status: 200},
	}
	for _, h2 := range []bool{false, true} {
		c := client(h2)
		for _, tt := range tests {
			t.Run(fmt.Sprintf("h2 %v, %s", h2, tt.name), func(t *testing.T) {
				var chunked io.Reader
				if tt.body != "" {
					chunked = io.MultiReader(strings.NewReader(tt.body))
				}
				r, _ := http.NewRequest(tt.method, "http://"+g.Addrs()[0], chunked)
				r.URL.Opaque = tt.path
				if strings.HasPrefix(tt.path, "//") {
					r.URL.Opaque = ""
					r.URL.Path, r.URL.RawQuery, _ = strings.Cut(tt.path, "?")
				}
				r.Header.Set("User-Agent", "")
				if tt.do != "" {
					r.Header.Set("X-Do", tt.do)
				}
				if tt.trailer {
					r.Trailer = http.Header{"X-T": {"1"}}
				}
				want := tt.want
				if tt.trailer && !h2 { // dropped, and so the body ends as without
					r.Header.Set("X-Do", strings.Replace(tt.do, "body=hold trailers=holdtoend", "body=holdtoend", 1))
					want += "map[]"
				} else if tt.trailer {
					want += "map[X-T:[1]]"
				}
				status, body := do(t, c, r)
				if status != tt.status || !strings.Contains(body, want) || tt.wantNot != "" && strings.Contains(body, tt.wantNot) {
					t.Errorf("got %d %s, want %d %s", status, body, tt.status, want)
				}
			})
		}
	}
}

func TestUpgradeIsRefused(t *testing.T) {
	g := serve(t, t.TempDir(), withUpstreams(t, echo))
	r, _ := http.NewRequest("GET", "http://"+g.Addrs()[0]+"/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	if status, body := do(t, client(false), r); status != 403 || body != "" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestEventsAreStreamed(t *testing.T) {
	next := make(chan struct{})
	g := serve(t, t.TempDir(), withUpstreams(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next // sent by the client once it has the event
		}
	}))
	for _, path := range []string{"/", "/h2"} {
		r, _ := http.NewRequest("POST", "http://"+g.Addrs()[0]+path, strings.NewReader("q"))
		r.Header.Set("X-Do", "headers=hold body=holdtoend answerbody=event")
		resp, err := client(path == "/h2").Do(r)
		if err != nil {
			t.Fatal(err)
		}
		events := bufio.NewScanner(resp.Body)
		for i := range 3 {
			if !events.Scan() || !strings.Contains(events.Text(), fmt.Sprintf("[data: %d", i)) {
				t.Fatalf("event %d: got %q, %v", i, events.Text(), events.Err())
			}
			next <- struct{}{}
			events.Scan()
		}
		resp.Body.Close()
	}
}

func TestClientThatLeavesEndsTheUpstreamRequest(t *testing.T) {
	ended := make(chan struct{})
	g := serve(t, t.TempDir(), withUpstreams(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	}))
	resp, err := client(false).Get("http://" + g.Addrs()[0] + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the upstream still has its request")
	}
}

func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	g := serve(t, t.TempDir(), withUpstreams(t, func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	t.Run("an upstream that does not answer", func(t *testing.T) {
		r, _ := http.NewRequest("GET", "http://"+g.Addrs()[0]+"/slow", nil)
		if status, body := do(t, client(false), r); status != 504 || !strings.Contains(body, "upstream_timeout") {
			t.Errorf("got %d %s", status, body)
		}
	})
	t.Run("a body that only dribbles", func(t *testing.T) {
		body, writer := io.Pipe()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					if _, err := writer.Write([]byte("x")); err != nil {
						return
					}
				}
			}
		})
		r, _ := http.NewRequest("POST", "http://"+g.Addrs()[0]+"/", body)
		r.Header.Set("X-Do", "headers=hold body=holdtoend")
		status, text := do(t, client(true), r)
		close(stop)
		body.Close()
		wg.Wait()
		if status != 408 || !strings.Contains(text, "request_timeout") {
			t.Errorf("got %d %s", status, text)
		}
	})
}

func TestAnswerBeforeTheBody(t *testing.T) {
	g := serve(t, t.TempDir(), withUpstreams(t, echo))
	conn, err := net.Dial("tcp", g.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nX-Do: headers=deny\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	b, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(b), "HTTP/1.1 403") || !strings.HasSuffix(string(b), "{}") {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestEarlyAnswerIsNotCutOff sends a body that nobody reads right behind the
// headers: the client must see the answer all the same, not a reset.
func TestEarlyAnswerIsNotCutOff(t *testing.T) {
	r := serve(t, t.TempDir(), withUpstreams(t, echo))
	body := strings.Repeat("x", 100)
	for range 300 {
		conn, err := net.Dial("tcp", r.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nX-Do: headers=deny\r\nContent-Length: %d\r\n\r\n", len(body))
		_, _ = io.WriteString(conn, body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusForbidden {
			t.Fatalf("status %d, %v", resp.StatusCode, err)
		}
		conn.Close()
	}
}

func TestStop(t *testing.T) {
	started, release := make(chan struct{}, 2), make(chan struct{})
	g := serve(t, t.TempDir(), withUpstreams(t, func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		if r.URL.Path == "/never" {
			<-r.Context().Done()
			return
		}
		<-release
	}))
	get := func(path string) chan error {
		result := make(chan error, 1)
		go func() {
			resp, err := client(false).Get("http://" + g.Addrs()[0] + path)
			if err == nil {
				resp.Body.Close()
			}
			result <- err
		}()
		<-started
		return result
	}
	finishes, never := get("/"), get("/never")
	g.stop()
	close(release)
	if err := <-finishes; err != nil {
		t.Errorf("an open request was cut: %v", err)
	}
	if err := <-never; err == nil {
		t.Error("a request that never ends was not cut")
	}
	err := <-g.done
	g.done <- err
	if _, err := net.Dial("tcp", g.Addrs()[0]); err == nil {
		t.Error("the listener is still open")
	}
}

func TestAdmin(t *testing.T) {
	g := serve(t, t.TempDir(), withUpstreams(t, echo))
	g.waitLog(t, `"msg":"serving"`)
	r, _ := http.NewRequest("GET", "http://"+g.Addrs()[0]+"/secret-free?token=s3cr3t", nil)
	r.Header.Set("X-Do", "headers=metrics")
	r.Header.Set("Authorization", "Bearer s3cr3t")
	do(t, client(false), r)
	g.waitLog(t, `"msg":"request"`)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/metrics": `keyward_gateway_requests_total{class="2",route="one"} 1`,
	} {
		r, _ := http.NewRequest("GET", "http://"+g.AdminAddr()+path, nil)
		if status, body := do(t, client(false), r); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	r, _ = http.NewRequest("GET", "http://"+g.AdminAddr()+"/metrics", nil)
	if _, body := do(t, client(false), r); !strings.Contains(body, "wasmcustom_probe_total 2") {
		t.Errorf("a plugin's metric is missing:\n%s", body)
	}
	log := g.logged()
	if strings.Contains(log, "s3cr3t") {
		t.Errorf("the log leaks a secret:\n%s", log)
	}
	for _, want := range []string{`"path":"/secret-free"`, `"status":200`, `"route":"one"`, `"cluster":"h1"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in the access log:\n%s", want, log)
		}
	}
}

const goodSnapshot = `{"format":"keyward.snapshot/1","epoch":"e","generation":%d}`

func TestSnapshotReload(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "snapshot.json")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".tmp", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".tmp", file); err != nil {
			t.Fatal(err)
		}
	}
	put(fmt.Sprintf(goodSnapshot, 1))
	text := strings.Replace(withUpstreams(t, echo), "configuration: hello", "snapshot: snapshot.json", 1)
	g := serve(t, dir, text)
	generation := func() string {
		r, _ := http.NewRequest("GET", "http://"+g.Addrs()[0]+"/", nil)
		r.Header.Set("X-Do", "headers=config")
		_, body := do(t, client(false), r) // a new connection each time: workers take turns
		_, rest, _ := strings.Cut(body, `"generation":`)
		n, _, _ := strings.Cut(rest, "}")
		return n
	}
	if got := generation() + generation(); got != "11" {
		t.Fatalf("at the start: got generations %q", got)
	}
	put(fmt.Sprintf(goodSnapshot, 2))
	g.waitLog(t, `"msg":"snapshot in force"`)
	if got := generation() + generation(); got != "22" {
		t.Errorf("after a change: got generations %q", got)
	}
	put("{\n\"format\": \"keyward.snapshot/9\"}")
	g.waitLog(t, "snapshot refused, the last good one stays in force")
	if log := g.logged(); !strings.Contains(log, file+":2:11: /format") {
		t.Errorf("the log does not say where:\n%s", log)
	}
	if got := generation() + generation(); got != "22" {
		t.Errorf("after a bad change: got generations %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	g.waitLog(t, "no such file")
	put(fmt.Sprintf(goodSnapshot, 3))
	for end := time.Now().Add(patience); generation() != "3"; {
		if time.Now().After(end) {
			t.Fatalf("never recovered; log:\n%s", g.logged())
		}
	}
}
