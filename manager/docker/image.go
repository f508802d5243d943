package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"keyward/manager"
)

// maxProgress bounds what an engine tells of a pull, in bytes.
const maxProgress = 64 << 20

// Fetch implements [manager.Launcher]. It pulls an image by its digest, unless
// the engine has it.
func (d *Docker) Fetch(ctx context.Context, ref string) error {
	_, err := d.client.ImageInspect(ctx, ref)
	if !errdefs.IsNotFound(err) {
		return err
	}
	if !strings.Contains(ref, "@") { // the id of an image, which no registry knows
		return noImage("the engine has no image %q", ref)
	}
	res, err := d.client.ImagePull(ctx, ref, image.PullOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) {
		return noImage("no registry has image %q", ref)
	}
	if err != nil {
		return fmt.Errorf("docker: pull %q: %w", ref, err)
	}
	defer res.Close()
	if err := pulled(res); err != nil {
		return fmt.Errorf("docker: pull %q: %w", ref, err)
	}
	return nil
}

// pulled reads to the end what an engine tells of a pull, which says only there
// that it failed on the way.
func pulled(progress io.Reader) error {
	for d := json.NewDecoder(io.LimitReader(progress, maxProgress)); ; {
		var step struct{ Error string }
		err := d.Decode(&step)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case step.Error != "":
			return errors.New(step.Error)
		}
	}
}

func noImage(format, ref string) error {
	return &manager.Error{Kind: manager.KindWorker, Err: manager.ErrState, Why: fmt.Sprintf(format, ref)}
}
