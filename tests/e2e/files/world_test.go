package files_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/manager/files/wire"
	"keyward/plugins/changes"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/live"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/e2e/setup"
	"keyward/tests/testenv"
	"keyward/tools/manager"
)

// A world is MinIO and a Manager, a gateway before both, and Workers' tokens.
type world struct {
	*testing.T
	minio   *testenv.ObjectStore
	api     *client.Client
	dir     string         // the Manager's
	log     testenv.Output // of the Manager
	sealing *seal.PrivateKey
	gateway testenv.Command
	process *testenv.Process
	addr    string // of the gateway
	files   string // of the files service itself
	sync    string // keyward-sync
	tokens  map[string]string
	key     string  // of the files service
	answers answers // all that Workers were told
}

type answers struct{ testenv.Output }

// patience is how long anything may take on a machine that has much else to do.
const patience = 5 * time.Minute

// newWorld starts all of it; more is of the Manager's configuration.
func newWorld(t *testing.T, start func(*world, map[string]string, live.Config, string), more ...string) *world {
	t.Helper()
	testenv.Heavy(t, "MinIO, a Manager and a gateway")
	w := &world{T: t, dir: t.TempDir(), minio: testenv.StartMinIO(t), tokens: map[string]string{}, sync: built(t, "./tools/sync", testenv.GoBuildStatic)}
	var gateways string
	w.files, gateways = w.runManager(more)
	var err error
	w.sealing, err = seal.GenerateKey()
	w.must(err)
	w.fill()
	token, follow := setup.Gateway(w, w.api, time.Minute)
	start(w, map[string]string{"files": w.files, "objects": strings.TrimPrefix(w.minio.URL, "http://"), "manager": gateways}, follow, token)
	w.awaitGateway()
	return w
}

// binaries are what was built of programs, once for all tests.
var binaries struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	var err error
	if binaries.dir, err = os.MkdirTemp("", "keyward-files-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(binaries.dir)
	os.Exit(code)
}

// built is the path of a program's binary, as build makes it.
func built(t testing.TB, pkg string, build func(testing.TB, string) string) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	path := filepath.Join(binaries.dir, filepath.Base(pkg))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.Rename(build(t, pkg), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// embedded starts `keyward gateway`.
func embedded(w *world, upstreams map[string]string, m live.Config, token string) {
	w.Helper()
	private, err := w.sealing.Reveal()
	w.must(err)
	plugins, dir := testenv.Plugins(w), w.TempDir()
	w.addr = testenv.FreeAddr(w)
	var c strings.Builder
	fmt.Fprintf(&c, "listeners: [{address: %s}]\nclusters:\n", w.addr)
	for name, at := range upstreams {
		fmt.Fprintf(&c, "- {name: %s, urls: [\"http://%s\"]}\n", name, at)
	}
	c.WriteString("routes:\n- {name: files, path: /files, cluster: files}\n- {name: objects, path: /keyward, cluster: objects, host_rewrite: objects.keyward}\nplugins:\n")
	for _, p := range []string{"gate", "key-swap"} {
		fmt.Fprintf(&c, "- name: %s\n  file: %s/%[1]s.wasm\n  vm_id: %[1]s\n", p, plugins)
		fmt.Fprintf(&c, "  env: [{name: %s, from_env: %[1]s}, {name: %s, from_env: %[2]s}]\n", live.EnvToken, swap.EnvKeys)
		fmt.Fprintf(&c, "  configuration: {manager: {cluster: manager, authority: manager, key: %s}}\n", changes.FormatPublicKey(m.Key))
	}
	w.must(os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(c.String()), 0o600))
	w.gateway = testenv.Command{
		Path: built(w, "./tools/keyward", testenv.GoBuild), Args: []string{"gateway", "--config", "gateway.yaml"}, Dir: dir,
		Env: []string{live.EnvToken + "=" + token, swap.EnvKeys + "=" + private}, Healthy: testenv.Listening(w.addr),
	}
	w.startGateway()
}

// envoy starts Envoy, with the repository's own configuration.
func envoy(w *world, upstreams map[string]string, m live.Config, token string) {
	w.Helper()
	private, err := w.sealing.Reveal()
	w.must(err)
	e := testenv.StartEnvoy(w, testenv.EnvoyOptions{Keys: private, Token: token, Manager: &m, Upstreams: upstreams})
	w.addr, w.process = e.Addr, e.Process
}

func (w *world) startGateway() { w.Helper(); w.process = testenv.Start(w, w.gateway) }

// runManager runs the Manager's own program, and returns where its listeners are.
func (w *world) runManager(more []string) (files, gateways string) {
	w.Helper()
	w.must(os.WriteFile(filepath.Join(w.dir, "minio.secret"), []byte(w.minio.SecretKey), 0o600))
	path := filepath.Join(w.dir, "manager.yaml")
	w.must(os.WriteFile(path, fmt.Appendf(nil, `
store: {dsn: keyward.db}
api: {listen: "127.0.0.1:0"}
operations: {listen: "127.0.0.1:0"}
gateways: {listen: "127.0.0.1:0"}
files: {listen: "127.0.0.1:0", store: {endpoint: %q, accessKey: %q, secretKeyFile: minio.secret}}
%s
`, w.minio.URL, w.minio.AccessKey, strings.Join(more, "\n")), 0o600))
	c, err := manager.LoadConfig(path)
	w.must(err)
	started := make(chan map[string]string, 1)
	c.Started = func(at map[string]string) { started <- at }
	ctx, cancel := context.WithCancel(w.Context())
	out := &testenv.Output{}
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx, c, out, slog.New(slog.NewJSONHandler(&w.log, nil))) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the Manager ended with %v", err)
		}
	})
	var at map[string]string
	select {
	case at = <-started:
	case <-time.After(patience):
		w.Fatal("the Manager does not start")
	}
	for _, word := range strings.Fields(out.String()) {
		if strings.HasPrefix(word, nouns.AdminPrefix) {
			w.api, err = client.New("http://"+at["api"], word, client.Options{})
			w.must(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(w.dir, "files.key"))
	w.must(err)
	w.key = strings.TrimSpace(string(b))
	return at["files"], at["gateways"]
}

// fill sets up the two targets, the policy, and three consumers: a and c write to
// shared/team, and b reads it.
func (w *world) fill() {
	w.Helper()
	ctx, none := w.Context(), client.Request{}
	setup.Policy(w, w.api, nil)
	up := snapshot.Upstream{Clusters: []string{"files"}}
	secret, err := seal.NewSecret([]byte(w.key))
	w.must(err)
	sealed, err := seal.Seal(w.sealing.Public(), secret, seal.For(&snapshot.Credential{ID: "files", Version: 1, Upstream: up}))
	w.must(err)
	_, _, err = w.api.EnrolCredential(ctx, none, nouns.CredentialSpec{ID: "files", CredentialSealed: nouns.CredentialSealed{Upstream: up, Sealed: []snapshot.Sealed{sealed}}})
	w.must(err)
	for _, target := range []nouns.NewTarget{
		{ID: "files", TargetSpec: nouns.TargetSpec{
			Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/files"}}, Upstream: up, Credential: "files", Inject: &snapshot.Inject{Form: snapshot.Bearer},
		}},
		{ID: "objects", TargetSpec: nouns.TargetSpec{Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/keyward"}}}},
	} {
		_, _, err := w.api.CreateTarget(ctx, none, target)
		w.must(err)
	}
	both := []string{"GET", "PUT"}
	for _, name := range []string{"a", "b", "c"} {
		_, _, err := w.api.CreateConsumer(ctx, none, nouns.ConsumerSpec{ID: "worker-" + name, Kind: "worker"})
		w.must(err)
		t, _, err := w.api.IssueToken(ctx, none, nouns.TokenSpec{Consumer: "worker-" + name})
		w.must(err)
		w.tokens[name] = t.Secret
		w.grant(name, "files", nil, "/files")
		w.grant(name, "objects", both, "/keyward/workers/"+name)
	}
	w.grant("a", "objects", both, "/keyward/shared/team")
	w.grant("c", "objects", both, "/keyward/shared/team")
	w.grant("b", "objects", both[:1], "/keyward/shared/team")
}

func (w *world) grant(worker, target string, methods []string, path string) {
	w.Helper()
	_, _, err := w.api.CreateGrant(w.Context(), client.Request{}, nouns.NewGrant{
		Consumer: "worker-" + worker, Target: target, GrantSpec: nouns.GrantSpec{Methods: methods, Paths: []string{path}},
	})
	w.must(err)
}

// awaitGateway waits until the gateway has what was set up.
func (w *world) awaitGateway() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	w.must(testenv.Await(ctx, func(context.Context) error {
		if status, body := w.ask("a", "GET", "/files/workers/a/", nil); status != 200 {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	}))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// ask sends a Worker's request to the gateway; in is JSON, or bytes.
func (w *world) ask(worker, method, path string, in any) (int, string) {
	w.Helper()
	b, ok := in.([]byte)
	if !ok && in != nil {
		var err error
		b, err = json.Marshal(in)
		w.must(err)
	}
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.addr+path, bytes.NewReader(b))
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+w.tokens[worker])
	return w.send(req)
}

func (w *world) send(req *http.Request) (int, string) {
	w.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	fmt.Fprintln(&w.answers, res.Header, string(b))
	return res.StatusCode, string(b)
}

// follow uses a link as a Worker; edit may be nil.
func (w *world) follow(worker string, l wire.Link, body []byte, edit func(*http.Request)) (int, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), l.Method, "http://"+w.addr+l.URL, bytes.NewReader(body))
	w.must(err)
	for k, v := range l.Headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Authorization", "Bearer "+w.tokens[worker])
	if edit != nil {
		edit(req)
	}
	return w.send(req)
}

// A folder is that of a Worker for a prefix.
type folder struct {
	*world
	worker, dir, prefix string
}

func (w *world) folder(worker, prefix string) *folder {
	w.Helper()
	return &folder{w, worker, w.TempDir(), prefix}
}

// command is keyward-sync as a Worker's container runs it: with the gateway's URL
// and the consumer token, and nothing else.
func (f *folder) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(f.Context(), f.sync, args...)
	cmd.Env = []string{"KEYWARD_GATEWAY=http://" + f.addr, "KEYWARD_TOKEN=" + f.tokens[f.worker], "KEYWARD_WORKER=" + f.worker}
	return cmd
}

// run runs keyward-sync, which must end with a code.
func (f *folder) run(verb string, want int) string {
	f.Helper()
	cmd := f.command(verb, f.dir, f.prefix)
	out, _ := cmd.CombinedOutput() // the code says it
	fmt.Fprintln(&f.answers, string(out))
	if got := cmd.ProcessState.ExitCode(); got != want {
		f.Fatalf("%s of %s ended with %d, want %d\n%s", verb, f.worker, got, want, out)
	}
	return string(out)
}

func (f *folder) write(name string, b []byte) {
	f.Helper()
	path := filepath.Join(f.dir, name)
	f.must(os.MkdirAll(filepath.Dir(path), 0o755))
	f.must(os.WriteFile(path, b, 0o644))
}

func (f *folder) has(name string, want []byte) {
	f.Helper()
	got, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil || !bytes.Equal(got, want) {
		f.Errorf("%s of %s has %d bytes, %v, want %d", name, f.worker, len(got), err, len(want))
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
