package docker_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/docker"
	"keyward/manager/launchertest"
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
	testenv.Heavy(t, "a Docker engine")
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

func TestDocker(t *testing.T) {
	w := newWorld(t)
	d := w.backend(t, "one")
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	step := 1
	if os.Getenv("KEYWARD_E2E") == "0" {
		step = 5 // each takes seconds; `make e2e` cuts everywhere
	}
	waits := manager.WorkerSpec{Image: w.image, Command: []string{"wait"}}
	launchertest.Run(t, launchertest.Backend{
		New:     func(t *testing.T, name string) manager.Launcher { return w.backend(t, name) },
		Cut:     w.cut,
		Changes: 14,
		Step:    step,
		Waits:   waits,
		Talks:   manager.WorkerSpec{Image: w.image, Command: []string{"not a world"}},
		Files:   w.file,
		Left:    w.left,
	})
	l := manager.Launch{Worker: "a", Run: "r1", Spec: waits, Env: map[string]string{"KEYWARD_TOKEN": "kwt_r1"}, Files: map[string][]byte{"token": []byte("kwt_r1")}}
	if i, err := d.Launch(t.Context(), l); err != nil || i.Phase != manager.PhaseRunning {
		t.Fatalf("launched %+v, %v", i, err)
	}
	t.Run("it is hardened", func(t *testing.T) { checkHardening(t, w, "one-worker-a") })
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
}

// cut returns a launcher whose connection is gone after some changes.
func (w *world) cut(t *testing.T, name string, after int) manager.Launcher {
	t.Helper()
	opt := w.opt
	opt.Name, opt.Host = name, cutOff(t, strings.TrimPrefix(w.Host, "unix://"), after)
	d, err := docker.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// file is what a Worker sees of a file, which is a link to its content.
func (w *world) file(t *testing.T, name, worker, file string) string {
	t.Helper()
	content, link := map[string]string{}, ""
	for r := tar.NewReader(strings.NewReader(w.archive(t, name+"-worker-"+worker, manager.WorkerFiles))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content[link]
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		content[path.Base(h.Name)] = string(b)
		if path.Base(h.Name) == file {
			link = h.Linkname
		}
	}
}

func (w *world) left(t *testing.T, name string) string {
	t.Helper()
	filter := "?all=true&filters=" + url.QueryEscape(`{"label":["dev.keyward.manager=`+name+`","dev.keyward.worker"]}`)
	left := ""
	for _, what := range []string{"containers/json", "networks", "volumes"} {
		if got := string(w.Get(t, "/v1.41/"+what+filter)); strings.Contains(got, "dev.keyward.worker") {
			left += what + " " + got
		}
	}
	return left
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
