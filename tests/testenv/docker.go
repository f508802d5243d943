package testenv

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"keyward/tools/dockerd"
)

// Docker is an engine of the test's own.
type Docker struct {
	Host   string // unix:// URL of its API
	engine *dockerd.Engine
}

// StartDocker starts an engine that ends with the test. It needs root.
func StartDocker(t testing.TB) *Docker {
	t.Helper()
	if what := dockerd.Missing(); what != "" {
		missing(t, what)
	}
	e, err := dockerd.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of dockerd:\n%s", e.Log())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Docker{e.Host, e}
}

// Image loads an image whose root is empty but for the given static binary and
// returns its id. The program is there twice: as /NAME, which is run, and as
// /suid, which root has marked setuid.
func (d *Docker) Image(t testing.TB, name, binary string) string {
	t.Helper()
	id, err := d.engine.Image(t.Context(), name, binary, dockerd.File{Name: name, Mode: 0o755}, dockerd.File{Name: "suid", Mode: 0o4755})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Log is what the engine has written.
func (d *Docker) Log() string { return d.engine.Log() }

// Get returns what the engine's API answers, such as /containers/NAME/json.
func (d *Docker) Get(t testing.TB, path string) []byte {
	t.Helper()
	return d.Do(t, http.MethodGet, path, nil)
}

// Post calls an action of the engine's API, such as /containers/NAME/kill.
func (d *Docker) Post(t testing.TB, path string) {
	t.Helper()
	d.Do(t, http.MethodPost, path, nil)
}

// Do calls the engine's API with a body of JSON, and returns what it answers.
func (d *Docker) Do(t testing.TB, method, path string, body io.Reader) []byte {
	t.Helper()
	b, err := d.engine.Call(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Listen listens in the engine's network namespace until the test ends: for a
// container that is the host.
func (d *Docker) Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := d.engine.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket is Listen for UDP.
func (d *Docker) ListenPacket(t testing.TB, addr string) (c net.PacketConn) {
	t.Helper()
	err := d.engine.Do(func() (err error) {
		c, err = net.ListenPacket("udp", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Address gives the host that the engine runs on one more address.
func (d *Docker) Address(t testing.TB, addr string) {
	t.Helper()
	if err := d.engine.Address(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
}

// Addresses are those that the engine's host has.
func (d *Docker) Addresses(t testing.TB) (list []netip.Addr) {
	t.Helper()
	err := d.engine.Do(func() error {
		all, err := net.InterfaceAddrs()
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, p.Addr())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
