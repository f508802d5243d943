package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"keyward/manager"
)

// writeFiles puts a Worker's files into its volume, which the Worker can read
// and not write. The engine writes into a container that never runs.
func (d *Docker) writeFiles(ctx context.Context, l manager.Launch) error {
	name := d.name(l.Worker)
	if _, err := d.client.VolumeCreate(ctx, volume.CreateOptions{Name: name, Driver: "local", Labels: d.labels(roleWorker, l.Worker)}); err != nil {
		return fmt.Errorf("docker: volume of %q: %w", l.Worker, err)
	}
	content, err := archive(l)
	if err != nil {
		return err
	}
	d.mu.Lock()
	image, err := d.ensureForwarderImage(ctx)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.removeContainers(ctx, roleCourier, l.Worker); err != nil {
		return err
	}
	c, err := d.client.ContainerCreate(ctx, &container.Config{Image: image, Labels: d.labels(roleCourier, l.Worker)},
		&container.HostConfig{
			NetworkMode: "none",
			Mounts:      []mount.Mount{{Type: mount.TypeVolume, Source: name, Target: "/files", VolumeOptions: &mount.VolumeOptions{NoCopy: true}}},
		}, nil, nil, "")
	if err != nil {
		return fmt.Errorf("docker: files of %q: %w", l.Worker, err)
	}
	err = d.client.CopyToContainer(ctx, c.ID, "/files", content, container.CopyToContainerOptions{})
	if err = errors.Join(err, d.removeContainers(ctx, roleCourier, l.Worker)); err != nil {
		return fmt.Errorf("docker: files of %q: %w", l.Worker, err)
	}
	return nil
}

// archive is a Worker's files as a tar. Each is a link to one that is named
// after its content: who reads while files are replaced sees the old or the new,
// and never a part.
func archive(l manager.Launch) (*bytes.Buffer, error) {
	gid := int(l.Spec.WithDefaults().User)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		content := l.Files[name]
		sum := sha256.Sum256(content)
		data := "." + name + "." + hex.EncodeToString(sum[:4]) // 32 bits say nothing about a token of 256
		err := errors.Join(
			w.WriteHeader(&tar.Header{Name: data, Mode: 0o440, Gid: gid, Size: int64(len(content))}),
			writeAll(w, content),
			w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: data, Mode: 0o777, Gid: gid}))
		if err != nil {
			return nil, err
		}
	}
	return &b, w.Close()
}

// removeVolumes takes a Worker's volume away.
func (d *Docker) removeVolumes(ctx context.Context, worker string) error {
	list, err := d.client.VolumeList(ctx, volume.ListOptions{Filters: d.ours("", worker)})
	if err != nil {
		return err
	}
	for _, v := range list.Volumes {
		if err := gone(d.client.VolumeRemove(ctx, v.Name, true)); err != nil {
			return err
		}
	}
	return nil
}
