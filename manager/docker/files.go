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
	"github.com/docker/docker/api/types/volume"

	"keyward/manager"
)

// ensureVolume makes the volume that a Worker's files are in.
func (d *Docker) ensureVolume(ctx context.Context, worker string) error {
	_, err := d.client.VolumeCreate(ctx, volume.CreateOptions{Name: d.name(worker), Driver: "local", Labels: d.labels(roleWorker, worker)})
	return err
}

// writeFiles puts a Worker's files into its volume, through its door: the Worker
// can read there and not write.
func (d *Docker) writeFiles(ctx context.Context, l manager.Launch) error {
	content, err := archive(l)
	if err != nil {
		return err
	}
	if err := d.client.CopyToContainer(ctx, d.doorName(l.Worker), doorFiles, content, container.CopyToContainerOptions{}); err != nil {
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
