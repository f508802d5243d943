package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"keyward/manager"
)

// uplinkLimits are ample for thousands of connections.
var uplinkLimits = manager.WorkerLimits{MemoryMB: 256, CPUMilli: 2000, Pids: 64, Files: 16384}

const (
	uplinkDir    = "/uplink" // where the volume with the socket is, in forwarders
	uplinkSocket = "unix:" + uplinkDir + "/gateway.sock"
)

func (d *Docker) uplinkName() string { return d.opt.Name + "-uplink" }

// ensureUplink brings the one forwarder to run that has a network: it listens on
// a Unix socket in a volume that only doors have, and passes to the gateway.
func (d *Docker) ensureUplink(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	image, digest, err := d.ensureForwarder(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(digest + d.opt.To))
	want := hex.EncodeToString(sum[:])
	name := d.uplinkName()
	there, running, err := d.keep(ctx, name, roleUplink, "", want)
	if err != nil || running {
		return err
	}
	if !there {
		if err := d.createUplink(ctx, name, image, want); err != nil {
			return fmt.Errorf("docker: uplink: %w", err)
		}
	}
	return d.start(ctx, name)
}

func (d *Docker) createUplink(ctx context.Context, name, image, version string) error {
	if err := d.ensureUplinkNetwork(ctx); err != nil {
		return err
	}
	if _, err := d.client.VolumeCreate(ctx, volume.CreateOptions{Name: name, Driver: "local", Labels: d.labels(roleUplink, "")}); err != nil {
		return err
	}
	labels := d.labels(roleUplink, "")
	labels[labelBinary] = version
	host := d.hardened(uplinkLimits)
	host.NetworkMode = container.NetworkMode(name)
	host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyUnlessStopped}
	host.ExtraHosts = []string{"host:host-gateway"}
	// The image has the folder, so that a new volume gets its owner and mode.
	host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: name, Target: uplinkDir}}
	_, err := d.client.ContainerCreate(ctx, &container.Config{
		Image: image, Cmd: []string{"--listen", uplinkSocket, "--to", d.opt.To}, Labels: labels,
	}, host, nil, nil, name)
	return err
}

// ensureUplinkNetwork makes the network over which the uplink reaches the
// gateway. A gateway in a container may be put into it, too. No Worker ever is.
func (d *Docker) ensureUplinkNetwork(ctx context.Context) error {
	_, err := d.client.NetworkInspect(ctx, d.uplinkName(), network.InspectOptions{})
	if !errdefs.IsNotFound(err) {
		return err
	}
	_, err = d.client.NetworkCreate(ctx, d.uplinkName(), network.CreateOptions{Driver: "bridge", Labels: d.labels(roleUplink, "")})
	return err
}
