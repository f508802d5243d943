package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"keyward/manager"
)

// doorLimits bound what a Worker's connections can take: its own.
var doorLimits = manager.WorkerLimits{MemoryMB: 64, CPUMilli: 1000, Pids: 32, Files: 4096}

// doorFiles is where a door has its Worker's files. It never looks at them: the
// engine writes through it what the Worker can only read.
const doorFiles = "/files"

func (d *Docker) doorName(worker string) string { return d.opt.Name + "-door-" + worker }

// ensureDoor makes a Worker's door unless one of this program's version and
// settings is there. It does not open it.
func (d *Docker) ensureDoor(ctx context.Context, worker string) error {
	d.mu.Lock()
	image, digest, err := d.ensureForwarder(ctx)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	name := d.doorName(worker)
	sum := sha256.Sum256([]byte(digest + d.gateway.String()))
	want := hex.EncodeToString(sum[:])
	if there, _, err := d.keep(ctx, name, roleDoor, worker, want); err != nil || there {
		return err
	}
	config, host := d.doorOf(worker, image)
	config.Labels[labelBinary] = want
	if _, err = d.client.ContainerCreate(ctx, config, host, nil, nil, name); err != nil {
		return fmt.Errorf("docker: create %q: %w", name, err)
	}
	return nil
}

// openDoor starts a Worker's door, whichever version it is, and reports whether
// it was open.
func (d *Docker) openDoor(ctx context.Context, worker string) (was bool, err error) {
	c, err := d.client.ContainerInspect(ctx, d.doorName(worker))
	if err != nil || c.State.Running {
		return err == nil, err
	}
	return false, d.start(ctx, d.doorName(worker))
}

// doorOf is the container that owns the network namespace of a Worker: nothing
// but a loopback, on which it answers as the gateway. A bridge of the Worker's
// own would not do: whoever has an interface reaches the host's services that
// listen on all addresses, at least by broadcast.
func (d *Docker) doorOf(worker, image string) (*container.Config, *container.HostConfig) {
	host := d.hardened(doorLimits)
	host.NetworkMode = "none"
	// Were it to start again by itself, it would do so in a new namespace, and the
	// Worker would stay in the old one.
	host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyDisabled}
	name := d.gateway.Hostname()
	if _, err := netip.ParseAddr(name); err != nil {
		host.ExtraHosts = []string{name + ":127.0.0.1"}
	}
	// Nobody answers there. Without this line names are asked of the host's
	// resolver by some versions (CVE-2024-29018).
	host.DNS = []string{"127.0.0.1"}
	host.DNSOptions = []string{"timeout:1", "attempts:1", "ndots:0"}
	host.DNSSearch = []string{"."}
	host.Mounts = []mount.Mount{
		{Type: mount.TypeVolume, Source: d.uplinkName(), Target: uplinkDir, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true}},
		{Type: mount.TypeVolume, Source: d.name(worker), Target: doorFiles, VolumeOptions: &mount.VolumeOptions{NoCopy: true}},
	}
	return &container.Config{
		Image:    image,
		Hostname: hostname(worker),
		Cmd:      []string{"--listen", net.JoinHostPort("127.0.0.1", d.gatewayPort()), "--to", uplinkSocket, "--connections", "512"},
		Labels:   d.labels(roleDoor, worker),
	}, host
}

func (d *Docker) gatewayPort() string {
	if port := d.gateway.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[d.gateway.Scheme]
}
