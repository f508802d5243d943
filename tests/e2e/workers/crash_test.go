package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/docker"
	"keyward/manager/store"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// A reaper stands between a Manager and what it changes, and kills the Manager
// when the nth change was made: before it hears that it was.
type reaper struct {
	mu   sync.Mutex
	left int // changes until then; 0: never
	kill func()
	dead chan struct{} // closed by the kill
}

var errReaped = errors.New("whoever asked is dead")

// arm has the nth change from now on be the last.
func (r *reaper) arm(n int, kill func()) (dead <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.kill, r.dead = n, kill, make(chan struct{})
	return r.dead
}

func (r *reaper) disarm() { r.arm(0, nil) }

// made is called with each answer. Messages in rooms are no step of a Worker.
func (r *reaper) made(res *http.Response) error {
	req := res.Request
	if req.Method == http.MethodGet || req.Method == http.MethodHead || strings.Contains(req.URL.Path, "/send/m.room.message/") {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return nil
	}
	if r.left--; r.left > 0 {
		return nil
	}
	r.kill()
	close(r.dead)
	return errReaped
}

// before passes requests on over network and address.
func (r *reaper) before(network, address string) http.Handler {
	return testenv.Duplex(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: "upstream"})
			p.Out.Host = p.In.Host
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
		FlushInterval:  -1,
		ModifyResponse: r.made,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
}

// A killable is a Manager as a process of its own, on a real engine, homeserver and
// object store, with a reaper before each.
type killable struct {
	*world
	reaper  reaper
	api     *client.Client
	command testenv.Command
	process *testenv.Process
}

func newKillable(t *testing.T) *killable {
	t.Helper()
	k := &killable{world: &world{Docker: testenv.StartDocker(t), dir: t.TempDir(), matrix: startHomeserver(t)}}
	var err error
	if k.key, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(k.reaper.before("tcp", strings.TrimPrefix(k.matrix.URL, "http://")))
	t.Cleanup(hs.Close)
	k.minio = testenv.StartMinIO(t)
	objects := httptest.NewServer(k.reaper.before("tcp", strings.TrimPrefix(k.minio.URL, "http://")))
	t.Cleanup(objects.Close)
	socket := filepath.Join(k.dir, "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	engine := &http.Server{Handler: k.reaper.before("unix", strings.TrimPrefix(k.Host, "unix://")), ReadHeaderTimeout: time.Minute}
	go func() { _ = engine.Serve(l) }()
	t.Cleanup(func() { engine.Close() })
	api := testenv.FreeAddr(t)
	config := fmt.Sprintf(`store: {dsn: keyward.db}
api: {listen: %q}
operations: {listen: "127.0.0.1:0"}
gateways: {listen: "127.0.0.1:0"}
matrix: {homeserver: %q, user: "@keyward:%s", admins: [%q], registrationSecretFile: registration.secret, target: matrix}
files: {listen: "127.0.0.1:0", store: {endpoint: %q, accessKey: %q, secretKeyFile: minio.secret}}
workers: {docker: {host: %q, to: "host:1", forwarder: %q}}
`, api, hs.URL, k.matrix.Name, k.matrix.alice.ID, objects.URL, k.minio.AccessKey, "unix://"+socket, testenv.GoBuildStatic(t, "./tools/forward"))
	for name, text := range map[string]string{"manager.yaml": config, "registration.secret": k.matrix.Secret, "minio.secret": k.minio.SecretKey} {
		if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The first admin token is made here, so that none has to be read from a log.
	k.open(t, false)
	first, _, err := k.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k.api, err = client.New("http://"+api, first.Secret, client.Options{}); err != nil {
		t.Fatal(err)
	}
	k.change(t, func(tx *store.Tx, ctx context.Context) error {
		if _, err := tx.AddSealingKey(ctx, manager.SealingKeySpec{Public: k.key.Public().String()}); err != nil {
			return err
		}
		for _, target := range append([]manager.NewTarget{matrixTarget}, fileTargets...) {
			target.Upstream, target.Credential = snapshot.Upstream{Clusters: []string{target.ID}}, ""
			target.Inject = &snapshot.Inject{Form: snapshot.Bearer}
			if _, err := tx.CreateTarget(ctx, target); err != nil {
				return err
			}
		}
		return nil
	})
	k.command = testenv.Command{
		Path: testenv.GoBuild(t, "keyward/tools/keyward"), Args: []string{"manager", "--config", "manager.yaml"}, Dir: k.dir,
		Healthy: testenv.HTTPHealthy("http://"+api+"/openapi.json", http.StatusOK),
	}
	k.process = testenv.Start(t, k.command)
	return k
}

// step asks for something of which the nth change outside of the store is the
// last of a Manager, which another goes on with, and waits until it is done. It
// reports whether there was an nth change.
func (k *killable) step(t *testing.T, n int, ask func() error, done func() error) (killed bool) {
	t.Helper()
	dead := k.reaper.arm(n, k.process.Kill)
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.until(t, fmt.Sprintf("killed at change %d", n), done)
	}()
	select {
	case <-dead:
		k.bury(t)
		k.process = testenv.Start(t, k.command)
		<-ended
		return true
	case <-ended:
		k.reaper.disarm()
		return false
	}
}

// bury ends the leases of a Manager that was killed, as their time would: with a
// clock that is just far enough ahead.
func (k *killable) bury(t *testing.T) {
	t.Helper()
	later := func() time.Time { return time.Now().Add(20 * time.Second) }
	s, err := store.Open(t.Context(), k.dsn, store.Options{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"matrix", "workers"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		s.Lead(ctx, name, "heir", func(context.Context) { cancel() }, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		cancel()
	}
}

// TestAManagerIsKilledAtEveryStep has Workers made and deleted by Managers that
// are killed after each change that they make to engine, homeserver and object
// store.
func TestAManagerIsKilledAtEveryStep(t *testing.T) {
	needE2E(t)
	k := newKillable(t)
	image := k.Image(t, "probe", testenv.GoBuildStatic(t, "./tests/attacks/probe"))
	create := func(id string) func() error {
		return func() error {
			_, _, err := k.api.CreateWorker(t.Context(), client.Request{}, manager.NewWorker{ID: id, WorkerSpec: manager.WorkerSpec{Image: image, Command: []string{"wait"}}})
			return err
		}
	}
	settled := func(id string) func() error {
		return func() error {
			w, err := k.Worker(t.Context(), id)
			if err == nil && w.Task != "" {
				err = fmt.Errorf("it is at %s, has %v: %s", w.Task, w.Done, w.Problem)
			}
			return err
		}
	}
	k.orphan(t, image)
	k.step(t, 0, create("first"), settled("first")) // makes what all share
	places, tokens, last := map[string]string{}, map[string]string{}, 0
	for killed := true; killed && last < 40; {
		last++
		id := fmt.Sprint("w", last)
		killed = k.step(t, last, create(id), settled(id))
		places[id], tokens[id] = k.whole(t, id)
		if t.Failed() {
			t.Fatalf("when killed at change %d of its creation", last)
		}
	}
	t.Logf("created, and killed at each of %d changes", last-1)
	if last < 9 {
		t.Error("hardly anything was cut short")
	}
	at, id := 0, ""
	for killed := true; killed && at < last; {
		at++
		id = fmt.Sprint("w", at)
		remove := func() error {
			_, _, err := k.api.DeleteWorker(t.Context(), client.Request{}, id)
			return err
		}
		killed = k.step(t, at, remove, func() error {
			w, err := k.Worker(t.Context(), id)
			if errors.Is(err, manager.ErrNotFound) {
				return nil
			}
			return errors.Join(err, fmt.Errorf("it is at %s, has %v: %s", w.Task, w.Done, w.Problem))
		})
		k.checkLeft(t, id, places[id], tokens[id])
		if names := k.containers(t, id); len(names) > 0 {
			t.Errorf("containers %q are left", names)
		}
		if t.Failed() {
			t.Fatalf("when killed at change %d of its deletion", at)
		}
	}
	t.Logf("deleted, and killed at each of %d changes", at-1)
	if at < 6 {
		t.Error("hardly anything was cut short")
	}
}

// orphan has a container be there that belongs to no Worker, as a Manager may leave
// whose store was put back. The next one to start removes it.
func (k *killable) orphan(t *testing.T, image string) {
	t.Helper()
	d, err := docker.New(docker.Options{Host: k.Host, Gateway: "http://gateway:8080", To: "host:1", Forwarder: testenv.GoBuildStatic(t, "./tools/forward")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	spec := manager.WorkerSpec{Image: image, Command: []string{"wait"}}
	if _, err := d.Launch(t.Context(), manager.Launch{Worker: "orphan", Run: "r1", Spec: spec}); err != nil {
		t.Fatal(err)
	}
	k.process.Kill()
	k.bury(t)
	k.process = testenv.Start(t, k.command)
	k.until(t, "an orphan is removed", func() error {
		if names := k.containers(t, "orphan"); len(names) > 0 {
			return fmt.Errorf("%q are there", names)
		}
		return nil
	})
}

// whole checks that all of a Worker is there, and nothing twice.
func (k *killable) whole(t *testing.T, id string) (place, token string) {
	t.Helper()
	w, err := k.Worker(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	l, err := k.Tokens(t.Context(), store.TokenFilter{Consumer: w.Consumer}, manager.Page{Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, token := range l.Items {
		if token.Live(time.Now()) {
			live++
		}
	}
	if live != 1 || w.Problem != "" {
		t.Errorf("%d live tokens, problem %q", live, w.Problem)
	}
	g, err := k.Grants(t.Context(), store.GrantFilter{Consumer: w.Consumer}, manager.Page{Limit: manager.MaxPage})
	if err != nil || len(g.Items) != 2 {
		t.Errorf("it has %d grants, %v; want its two for files", len(g.Items), err)
	}
	if names := k.containers(t, id); len(names) != 2 {
		t.Errorf("containers %q, want it and its door", names)
	}
	place, token = k.room(t, id), k.sealedToken(t, id)
	if _, user := k.matrix.whoAmI(t, token); user != k.matrix.account(id) {
		t.Errorf("its token is of %q", user)
	}
	if m := k.members(t, place); m[k.matrix.account(id)] != "join" || len(m) != 3 {
		t.Errorf("members: %v", m)
	}
	var rooms struct {
		Total int `json:"total_rooms"`
	}
	k.matrix.Call(t, http.MethodGet, "/_synapse/admin/v1/rooms?search_term="+url.QueryEscape("Worker: "+w.Consumer), k.matrix.alice.Token, nil, &rooms)
	if rooms.Total != 1 {
		t.Errorf("it has %d rooms", rooms.Total)
	}
	return place, token
}

// containers are those of a Worker, by their names.
func (k *killable) containers(t *testing.T, id string) (names []string) {
	t.Helper()
	var list []struct{ Names []string }
	if err := json.Unmarshal(k.Get(t, "/v1.41/containers/json?all=1"), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		for _, name := range c.Names {
			if strings.HasSuffix(name, "-"+id) {
				names = append(names, name)
			}
		}
	}
	return names
}
