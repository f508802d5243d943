package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Docker is an engine of the test's own, in a network namespace of its own: its
// bridges and firewall rules are not the machine's, and its containers have no
// way out but to what the test lets listen there.
type Docker struct {
	Host      string // unix:// URL of its API
	namespace string // file of the network namespace
	name, ip  string // of the namespace; the program
}

// StartDocker starts an engine that ends with the test. It needs root.
func StartDocker(t testing.TB) *Docker {
	t.Helper()
	dockerd, nsenter, ip := needProgram(t, "dockerd"), needProgram(t, "nsenter"), needProgram(t, "ip")
	needProgram(t, "iptables")
	if os.Geteuid() != 0 {
		missing(t, "root, to run dockerd")
	}
	name := "keyward-" + strings.ToLower(rand.Text()[:8])
	d := &Docker{namespace: "/var/run/netns/" + name, name: name, ip: ip}
	if err := run(t.Context(), "", ip, "netns", "add", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run(context.Background(), "", ip, "netns", "del", name) })
	if err := run(t.Context(), "", ip, "-n", name, "link", "set", "lo", "up"); err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: what the engine's end leaves mounted would fail the test.
	dir, err := os.MkdirTemp("", "keyward-docker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeMounted(dir) })
	socket := filepath.Join(dir, "d.sock")
	d.Host = "unix://" + socket
	Start(t, Command{
		Path: nsenter,
		Args: []string{
			"--net=" + d.namespace, dockerd, "--host", d.Host, "--data-root", filepath.Join(dir, "data"),
			"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		},
		Healthy: dockerHealthy(socket),
	})
	return d
}

func dockerClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

func dockerHealthy(socket string) func(context.Context) error {
	client := dockerClient(socket)
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("ping: status %d", res.StatusCode)
		}
		return nil
	}
}

// removeMounted removes a folder with what is mounted below it.
func removeMounted(dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
	_ = os.RemoveAll(dir)
}

// Do runs fn on a thread in the engine's network namespace. Sockets that fn
// opens stay there, whoever uses them.
func (d *Docker) Do(t testing.TB, fn func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		f, err := os.Open(d.namespace)
		if err != nil {
			done <- err
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Listen listens in the engine's network namespace until the test ends: for a
// container that is the host.
func (d *Docker) Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	d.Do(t, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	t.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket is Listen for UDP.
func (d *Docker) ListenPacket(t testing.TB, addr string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	d.Do(t, func() (err error) {
		c, err = net.ListenPacket("udp", addr)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// Address gives the host that the engine runs on one more address.
func (d *Docker) Address(t testing.TB, addr string) {
	t.Helper()
	if err := run(t.Context(), "", d.ip, "-n", d.name, "addr", "add", addr, "dev", "lo"); err != nil {
		t.Fatal(err)
	}
}

// Addresses are those that the engine's host has.
func (d *Docker) Addresses(t testing.TB) []netip.Addr {
	t.Helper()
	var list []netip.Addr
	d.Do(t, func() error {
		all, err := net.InterfaceAddrs()
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, p.Addr())
			}
		}
		return err
	})
	return list
}
