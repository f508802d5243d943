package docker_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/docker"
	"keyward/tests/testenv"
)

// A world is an engine with a gateway on its host.
type world struct {
	*testenv.Docker
	opt   docker.Options
	image string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Docker: testenv.StartDocker(t)}
	l := w.Listen(t, "0.0.0.0:0")
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.opt = docker.Options{
		Host: w.Host, Gateway: "http://gateway:8080", To: "host:" + port,
		Forwarder: testenv.GoBuildStatic(t, "./tools/forward"),
	}
	w.image = w.Image(t, "probe", testenv.GoBuildStatic(t, "./tests/attacks/probe"))
	return w
}

func (w *world) backend(t *testing.T, name string) *docker.Docker {
	t.Helper()
	opt := w.opt
	opt.Name = name
	d, err := docker.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func (w *world) launch(worker, run string) manager.Launch {
	return manager.Launch{
		Worker: worker, Run: run,
		Spec:  manager.WorkerSpec{Image: w.image, Command: []string{"wait"}},
		Env:   map[string]string{"KEYWARD_TOKEN": "kwt_" + run},
		Files: map[string][]byte{"token": []byte("kwt_" + run)},
	}
}

func TestDocker(t *testing.T) {
	w := newWorld(t)
	d := w.backend(t, "one")
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("a Worker runs, is kept for its run and replaced for another", func(t *testing.T) {
		first, err := d.Launch(t.Context(), w.launch("a", "r1"))
		if err != nil || first.Phase != manager.PhaseRunning || first.Run != "r1" {
			t.Fatalf("launched %+v, %v", first, err)
		}
		again, err := d.Launch(t.Context(), w.launch("a", "r1"))
		if err != nil || again != first {
			t.Errorf("the same run again: %+v, %v; want %+v", again, err, first)
		}
		start := time.Now()
		other, err := d.Launch(t.Context(), w.launch("a", "r2"))
		if err != nil || other.Run != "r2" || !other.Started.After(first.Started) {
			t.Errorf("another run: %+v, %v", other, err)
		}
		t.Logf("replaced in %v", time.Since(start))
	})
	t.Run("it is hardened", func(t *testing.T) { checkHardening(t, w, "one-worker-a") })
	t.Run("it stops, keeps its run, and starts", func(t *testing.T) {
		if err := d.Stop(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		i, err := d.Instance(t.Context(), "a")
		if err != nil || i.Phase != manager.PhaseStopped || i.Run != "r2" {
			t.Errorf("stopped: %+v, %v", i, err)
		}
		if err := d.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if i, err := d.Instance(t.Context(), "a"); err != nil || i.Phase != manager.PhaseRunning {
			t.Errorf("started: %+v, %v", i, err)
		}
	})
	t.Run("without its way to the gateway it has failed, until it is started", func(t *testing.T) {
		w.Post(t, "/v1.41/containers/one-door-a/kill")
		if i, err := d.Instance(t.Context(), "a"); err != nil || i.Phase != manager.PhaseFailed {
			t.Errorf("instance = %+v, %v", i, err)
		}
		if err := d.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if i, err := d.Instance(t.Context(), "a"); err != nil || i.Phase != manager.PhaseRunning {
			t.Errorf("started: %+v, %v", i, err)
		}
	})
	t.Run("its files are replaced while it runs", func(t *testing.T) {
		before, err := d.Instance(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Replace(t.Context(), w.launch("a", "r3")); err != nil {
			t.Fatal(err)
		}
		if got := w.archive(t, "one-worker-a", "/run/keyward"); !strings.Contains(got, "kwt_r3") {
			t.Errorf("its files lack the new token")
		}
		if after, err := d.Instance(t.Context(), "a"); err != nil || after != before {
			t.Errorf("it was %+v, is %+v, %v", before, after, err)
		}
	})
	t.Run("logs are bounded", func(t *testing.T) {
		l := w.launch("talker", "r1")
		l.Spec.Command = []string{"not a world"}
		if _, err := d.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if b, err := d.Logs(t.Context(), "talker", 1); err != nil || strings.Count(string(b), "\n") > 1 {
			t.Errorf("logs = %q, %v", b, err)
		}
	})
	t.Run("another Manager's Workers are not seen and not touched", func(t *testing.T) {
		other := w.backend(t, "two")
		if _, err := other.Launch(t.Context(), w.launch("a", "r1")); err != nil {
			t.Fatal(err)
		}
		if err := d.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Instance(t.Context(), "a"); err != nil {
			t.Errorf("the other's is gone: %v", err)
		}
		list, err := d.Instances(t.Context())
		if err != nil || len(list) != 1 || list[0].Worker != "talker" {
			t.Errorf("instances = %+v, %v", list, err)
		}
	})
	t.Run("what is removed leaves nothing", func(t *testing.T) {
		for range 2 {
			if err := d.Remove(t.Context(), "talker"); err != nil {
				t.Fatal(err)
			}
		}
		filter := "?all=true&filters=%7B%22label%22%3A%5B%22dev.keyward.manager%3Done%22%2C%22dev.keyward.worker%22%5D%7D"
		for _, what := range []string{"containers/json", "networks", "volumes"} {
			if got := string(w.Get(t, "/v1.41/"+what+filter)); strings.Contains(got, "dev.keyward.worker") {
				t.Errorf("%s has %s", what, got)
			}
		}
	})
	t.Run("a launch that was cut short is finished by the next", func(t *testing.T) {
		step := 1
		if os.Getenv("KEYWARD_E2E") == "0" {
			step = 5 // each takes seconds; `make e2e` cuts everywhere
		}
		for n := 1; n < 14; n += step {
			cut := &cutOff{host: strings.TrimPrefix(w.Host, "unix://"), after: n}
			opt := w.opt
			opt.Name, opt.Host = "cut", cut.listen(t)
			broken, err := docker.New(opt)
			if err != nil {
				t.Fatal(err)
			}
			_, cutErr := broken.Launch(t.Context(), w.launch("c", fmt.Sprint("r", n)))
			broken.Close()
			whole := w.backend(t, "cut")
			if i, err := whole.Launch(t.Context(), w.launch("c", fmt.Sprint("r", n))); err != nil || i.Phase != manager.PhaseRunning {
				t.Errorf("cut after %d requests (%v): %+v, %v", n, cutErr, i, err)
			}
			if err := whole.Remove(t.Context(), "c"); err != nil {
				t.Errorf("cut after %d requests: %v", n, err)
			}
		}
	})
}

// checkHardening checks what the engine says of a container.
func checkHardening(t *testing.T, w *world, name string) {
	t.Helper()
	var c struct {
		HostConfig struct {
			CapDrop, CapAdd, SecurityOpt, Binds, DNS     []string
			Privileged, ReadonlyRootfs, PublishAllPorts  bool
			PidMode, UTSMode, UsernsMode, IpcMode        string
			NetworkMode                                  string
			Memory, MemorySwap, NanoCpus, PidsLimit      int64
			Init                                         bool
			PortBindings                                 map[string]any
			Devices, DeviceRequests, VolumesFrom, Mounts []any
		}
		Config struct{ User, Image string }
		Mounts []struct {
			Type string
			RW   bool
		}
		NetworkSettings struct{ Networks map[string]any }
	}
	if err := json.Unmarshal(w.Get(t, "/v1.41/containers/"+name+"/json"), &c); err != nil {
		t.Fatal(err)
	}
	h := c.HostConfig
	for what, ok := range map[string]bool{
		"no capability":          fmt.Sprint(h.CapDrop) == "[ALL]" && len(h.CapAdd) == 0 && !h.Privileged,
		"no new privileges":      strings.Contains(fmt.Sprint(h.SecurityOpt), "no-new-privileges"),
		"a filter of calls":      !strings.Contains(fmt.Sprint(h.SecurityOpt), "unconfined"),
		"a root it can't write":  h.ReadonlyRootfs,
		"no namespace of others": h.PidMode == "" && h.UTSMode == "" && h.UsernsMode == "" && h.IpcMode == "private",
		"no network":             strings.HasPrefix(h.NetworkMode, "container:") && len(c.NetworkSettings.Networks) == 0,
		"limits":                 h.Memory > 0 && h.Memory == h.MemorySwap && h.NanoCpus > 0 && h.PidsLimit > 0,
		"an init":                h.Init,
		"no port":                len(h.PortBindings) == 0 && !h.PublishAllPorts,
		"no bind and no device":  len(h.Binds)+len(h.Devices)+len(h.DeviceRequests)+len(h.VolumesFrom) == 0,
		"one volume to read":     len(c.Mounts) == 1 && c.Mounts[0].Type == "volume" && !c.Mounts[0].RW,
		"no user of the system":  c.Config.User == "65532:65532",
		"an image by digest":     strings.HasPrefix(c.Config.Image, "sha256:"),
	} {
		if !ok {
			t.Errorf("it lacks %s: %+v", what, c)
		}
	}
}

func (w *world) archive(t *testing.T, container, path string) string {
	t.Helper()
	return string(w.Get(t, "/v1.41/containers/"+container+"/archive?path="+path))
}
