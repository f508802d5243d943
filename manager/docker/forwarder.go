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
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
)

const (
	maxForwarder = 64 << 20 // bytes of its binary
	readyTimeout = 10 * time.Second
	forwardUser  = 65532
)

// keep looks for the forwarder called name, and removes one that is not of the
// version want.
func (d *Docker) keep(ctx context.Context, name, role, worker, want string) (there, running bool, err error) {
	c, err := d.client.ContainerInspect(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return false, false, nil
	case err != nil:
		return false, false, fmt.Errorf("docker: %w", err)
	case c.Config.Labels[labelManager] != d.opt.Name || c.Config.Labels[labelRole] != role || c.Config.Labels[labelWorker] != worker:
		return false, false, fmt.Errorf("docker: a container %q is there that is not ours", name)
	case c.Config.Labels[labelBinary] == want:
		return true, c.State.Running, nil
	}
	if err := gone(d.client.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})); err != nil {
		return false, false, fmt.Errorf("docker: %w", err)
	}
	return false, false, nil
}

// start starts a forwarder. It writes a line once it listens, which is waited
// for: a Worker's first connection must not be too early.
func (d *Docker) start(ctx context.Context, name string) error {
	out, err := d.client.ContainerAttach(ctx, name, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("docker: start %q: %w", name, err)
	}
	defer out.Close()
	if err := d.client.ContainerStart(ctx, name, container.StartOptions{}); err != nil {
		return fmt.Errorf("docker: start %q: %w", name, err)
	}
	defer context.AfterFunc(ctx, out.Close)()
	if err := out.Conn.SetReadDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	if _, err := out.Reader.ReadByte(); err != nil {
		return fmt.Errorf("docker: %q does not listen: %w", name, err)
	}
	return nil
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

// A forwarder is a state of its file.
type forwarder struct {
	digest   string // SHA-256 of the binary; empty: not read yet
	size     int64
	modified time.Time
}

func (d *Docker) forwarderImage() string { return d.opt.Name + "-forward:" + d.forwarder.digest[:16] }

// ensureForwarder loads the forwarder's image into the engine, one file in an
// empty root, so that no registry is needed. It returns its id, and the digest of
// the binary. The caller holds d.mu.
func (d *Docker) ensureForwarder(ctx context.Context) (id, digest string, err error) {
	st, err := os.Stat(d.opt.Forwarder)
	if err != nil {
		return "", "", fmt.Errorf("docker: forwarder: %w", err)
	}
	// Reading it costs more than asking the engine.
	if f := d.forwarder; f.digest != "" && f.size == st.Size() && f.modified.Equal(st.ModTime()) {
		if i, err := d.client.ImageInspect(ctx, d.forwarderImage()); err == nil {
			return i.ID, f.digest, nil
		}
	}
	binary, err := d.readForwarder()
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(binary)
	digest = hex.EncodeToString(sum[:])
	d.forwarder = forwarder{digest, st.Size(), st.ModTime()}
	ref := d.forwarderImage()
	if i, err := d.client.ImageInspect(ctx, ref); err == nil {
		return i.ID, digest, nil
	}
	root, err := forwarderRoot(binary)
	if err != nil {
		return "", "", err
	}
	res, err := d.client.ImageImport(ctx, image.ImportSource{Source: root, SourceName: "-"}, ref,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/keyward-forward"]`, fmt.Sprintf("USER %d:%[1]d", forwardUser)}})
	if err != nil {
		return "", "", fmt.Errorf("docker: forwarder: %w", err)
	}
	defer res.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res, 1<<20)); err != nil {
		return "", "", fmt.Errorf("docker: forwarder: %w", err)
	}
	i, err := d.client.ImageInspect(ctx, ref)
	if err != nil {
		return "", "", fmt.Errorf("docker: forwarder: %w", err)
	}
	return i.ID, digest, nil
}

// forwarderRoot is the root of the forwarder's image.
func forwarderRoot(binary []byte) (*bytes.Buffer, error) {
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	return &root, errors.Join(
		w.WriteHeader(&tar.Header{Name: "keyward-forward", Mode: 0o755, Size: int64(len(binary))}),
		writeAll(w, binary),
		w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(uplinkDir, "/"), Typeflag: tar.TypeDir, Mode: 0o700, Uid: forwardUser, Gid: forwardUser}),
		w.Close())
}

func writeAll(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
