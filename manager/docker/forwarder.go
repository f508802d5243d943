package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"

	"keyward/manager"
)

// maxForwarder bounds the forwarder's binary, in bytes.
const maxForwarder = 64 << 20

// forwarderLimits are ample for thousands of connections.
var forwarderLimits = manager.WorkerLimits{MemoryMB: 256, CPUMilli: 2000, Pids: 64, Files: 16384}

func (d *Docker) forwarderName() string { return d.opt.Name + "-forward" }

// ensureForwarder returns the id of a running forwarder of this program's
// version and settings. The caller holds d.mu.
func (d *Docker) ensureForwarder(ctx context.Context) (string, error) {
	want, err := d.forwarderDigest()
	if err != nil {
		return "", err
	}
	c, err := d.client.ContainerInspect(ctx, d.forwarderName())
	switch {
	case errdefs.IsNotFound(err):
	case err != nil:
		return "", fmt.Errorf("docker: forwarder: %w", err)
	case c.Config.Labels[labelManager] != d.opt.Name:
		return "", fmt.Errorf("docker: a container %q is there that is not ours", d.forwarderName())
	case c.Config.Labels[labelBinary] == want && c.State.Running:
		return c.ID, nil
	default: // old, stopped, or half made
		if err := gone(d.client.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})); err != nil {
			return "", fmt.Errorf("docker: forwarder: %w", err)
		}
	}
	id, err := d.startForwarder(ctx, want)
	if err != nil {
		return "", fmt.Errorf("docker: forwarder: %w", err)
	}
	return id, nil
}

func (d *Docker) startForwarder(ctx context.Context, digest string) (string, error) {
	image, err := d.ensureForwarderImage(ctx)
	if err != nil {
		return "", err
	}
	if err := d.ensureUplink(ctx); err != nil {
		return "", err
	}
	labels := d.labels(roleForward, "")
	labels[labelBinary] = digest
	host := d.hardened(forwarderLimits)
	host.NetworkMode = container.NetworkMode(d.forwarderName())
	host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyUnlessStopped}
	host.ExtraHosts = []string{"host:host-gateway"}
	// It is in every Worker's network, and must not be a way from one to another.
	host.Sysctls = map[string]string{"net.ipv4.ip_forward": "0"}
	port := d.gateway.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[d.gateway.Scheme]
	}
	c, err := d.client.ContainerCreate(ctx, &container.Config{
		Image:  image,
		Cmd:    []string{"--listen", net.JoinHostPort("", port), "--to", d.opt.To},
		User:   "65532:65532",
		Labels: labels,
	}, host, nil, nil, d.forwarderName())
	if err != nil {
		return "", err
	}
	if err := d.joinAll(ctx, c.ID); err != nil {
		return "", err
	}
	return c.ID, d.client.ContainerStart(ctx, c.ID, container.StartOptions{})
}

// joinAll puts a new forwarder into the networks of the Workers that are there.
func (d *Docker) joinAll(ctx context.Context, forwarder string) error {
	list, err := d.client.NetworkList(ctx, network.ListOptions{Filters: d.ours(roleWorker, "")})
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := gone(d.join(ctx, n.ID, forwarder)); err != nil {
			return err
		}
	}
	return nil
}

// ensureUplink makes the network over which the forwarder reaches the gateway. A
// gateway in a container may be put into it, too. No Worker ever is.
func (d *Docker) ensureUplink(ctx context.Context) error {
	_, err := d.client.NetworkInspect(ctx, d.forwarderName(), network.InspectOptions{})
	if !errdefs.IsNotFound(err) {
		return err
	}
	_, err = d.client.NetworkCreate(ctx, d.forwarderName(), network.CreateOptions{Driver: "bridge", Labels: d.labels(roleForward, "")})
	return err
}

// forwarderDigest tells versions of the forwarder and its settings apart.
func (d *Docker) forwarderDigest() (string, error) {
	binary, err := d.readForwarder()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", d.gateway, d.opt.To)
	h.Write(binary)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (d *Docker) readForwarder() ([]byte, error) {
	f, err := os.Open(d.opt.Forwarder)
	if err != nil {
		return nil, fmt.Errorf("docker: forwarder: %w", err)
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxForwarder+1))
	if err == nil && len(b) > maxForwarder {
		err = errors.New("docker: the forwarder is too large")
	}
	return b, err
}

// ensureForwarderImage loads the forwarder's image into the engine: one file in
// an empty root, so that no registry is needed.
func (d *Docker) ensureForwarderImage(ctx context.Context) (string, error) {
	binary, err := d.readForwarder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(binary)
	ref := d.forwarderName() + ":" + hex.EncodeToString(sum[:8])
	if i, err := d.client.ImageInspect(ctx, ref); err == nil {
		return i.ID, nil
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	err = errors.Join(
		w.WriteHeader(&tar.Header{Name: "keyward-forward", Mode: 0o755, Size: int64(len(binary))}),
		writeAll(w, binary), w.Close())
	if err != nil {
		return "", err
	}
	res, err := d.client.ImageImport(ctx, image.ImportSource{Source: &root, SourceName: "-"}, ref,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/keyward-forward"]`}})
	if err != nil {
		return "", err
	}
	defer res.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res, 1<<20)); err != nil {
		return "", err
	}
	i, err := d.client.ImageInspect(ctx, ref)
	return i.ID, err
}

func writeAll(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

// pull gets an image by its digest, unless the engine has it.
func (d *Docker) pull(ctx context.Context, ref string) error {
	_, err := d.client.ImageInspect(ctx, ref)
	if !errdefs.IsNotFound(err) {
		return err
	}
	if !strings.Contains(ref, "@") { // the id of an image, which no registry knows
		return fmt.Errorf("docker: the engine has no image %q", ref)
	}
	res, err := d.client.ImagePull(ctx, ref, image.PullOptions{})
	if err != nil {
		return err
	}
	defer res.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res, 64<<20))
	return err
}
