package workers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/docker"
	"keyward/tests/testenv"
)

// hostPorts are where the host of an attack listens on all its addresses: as
// the Manager, its operations, a gateway's admin port, a homeserver, an object
// store, a database, SSH and the engine.
var hostPorts = []int{8700, 8701, 8702, 9901, 8008, 9000, 5432, 22, 2375}

// hostAddresses are more that the host has: cloud metadata, and "the internet".
var hostAddresses = []string{"169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "1.1.1.1/32", "fd00:ec2::254/128", "2606:4700:4700::1111/128"}

// probeLimits are small, so that bombs are quick.
var probeLimits = manager.WorkerLimits{MemoryMB: 96, CPUMilli: 2000, Pids: 48, Files: 256}

// An attempt is what tests/attacks/probe says of one way out.
type attempt struct {
	Name      string `json:"name"`
	Succeeded bool   `json:"succeeded"`
	Detail    string `json:"detail"`
}

// A host is an engine on a machine with services that no Worker may reach.
type host struct {
	*testenv.Docker
	gateway string       // address of the gateway on the host
	reached atomic.Int64 // times that anything came to another service
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := listening(t, testenv.StartDocker(t))
	l := h.Listen(t, "0.0.0.0:0")
	srv := &http.Server{Handler: http.HandlerFunc(answerGET), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h.gateway = "host:" + port
	return h
}

// listening makes an engine's machine one with services.
func listening(t *testing.T, d *testenv.Docker) *host {
	t.Helper()
	h := &host{Docker: d}
	for _, a := range hostAddresses {
		h.Address(t, a)
	}
	for _, port := range hostPorts {
		l := h.Listen(t, fmt.Sprintf("[::]:%d", port))
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				h.reached.Add(1)
				c.Close()
			}
		}()
	}
	for _, port := range []int{53, 7777} {
		c := h.ListenPacket(t, fmt.Sprintf("[::]:%d", port))
		go func() {
			for buf := make([]byte, 512); ; {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				h.reached.Add(1)
				_, _ = c.WriteTo(buf[:n], from)
			}
		}()
	}
	return h
}

// answerGET is a gateway that has nothing, and is no proxy.
func answerGET(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "no", http.StatusMethodNotAllowed)
	}
}

func (h *host) backend(t *testing.T) *docker.Docker {
	t.Helper()
	d, err := docker.New(docker.Options{
		Host: h.Host, Gateway: "http://gateway:8080", To: h.gateway,
		Forwarder: testenv.GoBuildStatic(t, "./tools/forward"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestNoWayOut runs the probe as a Worker, beside another one.
func TestNoWayOut(t *testing.T) {
	needE2E(t)
	h := newHost(t)
	d := h.backend(t)
	image := h.Image(t, "probe", testenv.GoBuildStatic(t, "./tests/attacks/probe"))
	other := manager.Launch{
		Worker: "other", Run: "r1", Spec: manager.WorkerSpec{Image: image, Command: []string{"wait"}},
		Env: map[string]string{"KEYWARD_TOKEN": "kwt_others"}, Files: map[string][]byte{"token": []byte("kwt_others")},
	}
	if _, err := d.Launch(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	world, err := json.Marshal(h.world(t))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = d.Launch(t.Context(), manager.Launch{
		Worker: "probe", Run: "r1",
		Spec:  manager.WorkerSpec{Image: image, Command: []string{string(world)}, Limits: probeLimits, Writable: map[string]int64{"/tmp": 16}},
		Env:   map[string]string{"KEYWARD_TOKEN": "kwt_own"},
		Files: map[string][]byte{"token": []byte("kwt_own")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("from nothing to a Worker that runs: %v", time.Since(start))
	h.judge(t, report(t, d, "probe"), 100)
	// What it tried did not hurt others.
	if i, err := d.Instance(t.Context(), "other"); err != nil || i.Phase != manager.PhaseRunning {
		t.Errorf("the other Worker is %+v, %v", i, err)
	}
}

// tried and succeeded count the ways out of all tests.
var tried, succeeded int

// judge fails the test for each way that is open.
func (h *host) judge(t *testing.T, attempts []attempt, atLeast int) {
	t.Helper()
	for _, a := range attempts {
		if a.Succeeded {
			succeeded++
			t.Errorf("it got out: %s", a.Name)
		}
	}
	if n := h.reached.Load(); n > 0 {
		t.Errorf("services of the host were reached %d times", n)
	}
	t.Logf("tried %d", len(attempts))
	if len(attempts) < atLeast {
		t.Errorf("only %d ways were tried", len(attempts))
	}
	tried += len(attempts)
	testenv.AddFigures(t, "probes.json", map[string]int{"tried": tried, "succeeded": succeeded})
}

// world is what the probe is told of its surroundings: all that an attacker could
// find out, so that nothing is safe by not being known.
func (h *host) world(t *testing.T) map[string]any {
	t.Helper()
	var addrs []string
	for _, a := range h.Addresses(t) {
		addrs = append(addrs, a.WithZone("").String())
	}
	secret := sha256.Sum256([]byte("kwt_others"))
	return map[string]any{
		"Gateway": "http://gateway:8080", "Hosts": addrs, "Ports": hostPorts,
		"Others": append([]string{h.uplink(t)}, addrs...),
		"Names":  []string{"keyward-worker-other", "keyward-door-other", "keyward-door-probe", "keyward-uplink", "other"},
		"Secret": hex.EncodeToString(secret[:]),
		"Pids":   probeLimits.Pids, "Memory": probeLimits.MemoryMB, "Files": probeLimits.Files, "Tmp": 16,
	}
}

// uplink is the address of the uplink, the only container that has one.
func (h *host) uplink(t *testing.T) string {
	t.Helper()
	var c struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := json.Unmarshal(h.Get(t, "/v1.41/containers/keyward-uplink/json"), &c); err != nil {
		t.Fatal(err)
	}
	return c.NetworkSettings.Networks["keyward-uplink"].IPAddress
}

// report waits until the probe has said what it tried.
func report(t *testing.T, d *docker.Docker, worker string) []attempt {
	t.Helper()
	var r struct {
		Control  string
		Attempts []attempt
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		b, err := d.Logs(t.Context(), worker, manager.MaxLogLines)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasSuffix(b, []byte("}\n")) {
			if err := json.Unmarshal(b[bytes.LastIndex(b[:len(b)-1], []byte("\n"))+1:], &r); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			break
		}
		if i, err := d.Instance(t.Context(), worker); err != nil || i.Phase == manager.PhaseFailed || time.Now().After(deadline) {
			t.Fatalf("the probe is %+v, %v, and wrote %s", i, err, b)
		}
	}
	if r.Control != "" {
		t.Errorf("the gateway can't be reached, so failing attempts say nothing: %s", r.Control)
	}
	for _, a := range r.Attempts {
		t.Logf("%-50s %s", a.Name, strings.TrimSpace(a.Detail))
	}
	return r.Attempts
}

// needE2E leaves a long test out where only quick ones are wanted.
func needE2E(t *testing.T) {
	t.Helper()
	testenv.Heavy(t, "Workers in containers")
}
