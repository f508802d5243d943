package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/stdcopy"

	"keyward/manager"
)

// Launch implements [manager.Launcher].
func (d *Docker) Launch(ctx context.Context, l manager.Launch) (manager.Instance, error) {
	if l.Run == "" || !manager.ValidID(l.Worker) {
		return manager.Instance{}, fmt.Errorf("docker: launch of %q: %w", l.Worker, manager.ErrInvalid)
	}
	if i, err := d.Instance(ctx, l.Worker); err == nil && i.Run == l.Run && i.Phase == manager.PhaseRunning {
		return i, nil
	}
	if err := d.Fetch(ctx, l.Spec.Image); err != nil {
		return manager.Instance{}, err
	}
	if err := d.removeContainers(ctx, roleWorker, l.Worker); err != nil {
		return manager.Instance{}, err
	}
	if err := d.ensureUplink(ctx); err != nil {
		return manager.Instance{}, err
	}
	if err := d.ensureVolume(ctx, l.Worker); err != nil {
		return manager.Instance{}, fmt.Errorf("docker: volume of %q: %w", l.Worker, err)
	}
	if err := d.ensureDoor(ctx, l.Worker); err != nil {
		return manager.Instance{}, err
	}
	// The Worker's container is made while its door opens.
	opened := make(chan error, 1)
	go func() {
		if err := d.writeFiles(ctx, l); err != nil {
			opened <- err
			return
		}
		_, err := d.openDoor(ctx, l.Worker)
		opened <- err
	}()
	config, host := d.containerOf(l)
	c, err := d.client.ContainerCreate(ctx, config, host, nil, nil, d.name(l.Worker))
	if err != nil {
		err = fmt.Errorf("docker: create %q: %w", l.Worker, err)
	}
	if err := errors.Join(<-opened, err); err != nil {
		return manager.Instance{}, err
	}
	if err := d.client.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return manager.Instance{}, fmt.Errorf("docker: start %q: %w", l.Worker, err)
	}
	return d.Instance(ctx, l.Worker)
}

// Replace implements [manager.Launcher].
func (d *Docker) Replace(ctx context.Context, l manager.Launch) error {
	if _, err := d.inspect(ctx, l.Worker); err != nil {
		return err
	}
	return d.writeFiles(ctx, l)
}

// inspect returns a Worker's container, if it is ours.
func (d *Docker) inspect(ctx context.Context, worker string) (container.InspectResponse, error) {
	c, err := d.client.ContainerInspect(ctx, d.name(worker))
	if errdefs.IsNotFound(err) || err == nil && (c.Config.Labels[labelManager] != d.opt.Name || c.Config.Labels[labelWorker] != worker) {
		return c, notFound(worker)
	}
	return c, err
}

// Instance implements [manager.Launcher].
func (d *Docker) Instance(ctx context.Context, worker string) (manager.Instance, error) {
	c, err := d.inspect(ctx, worker)
	if err != nil {
		return manager.Instance{}, err
	}
	i := manager.Instance{Worker: worker, Run: c.Config.Labels[labelRun]}
	i.Started, _ = time.Parse(time.RFC3339Nano, c.State.StartedAt) // zero until started
	switch s := c.State; {
	case s.Restarting, s.Status == container.StateCreated, s.Running && s.Health != nil && s.Health.Status == container.Starting:
		i.Phase = manager.PhaseStarting
	case s.Running:
		i.Phase = manager.PhaseRunning
	case s.OOMKilled:
		i.Phase, i.Detail = manager.PhaseFailed, "out of memory"
	case s.ExitCode == 0 || s.ExitCode == 143 || s.ExitCode == 137 && s.Error == "":
		i.Phase, i.Detail = manager.PhaseStopped, "exit status "+strconv.Itoa(s.ExitCode)
	default:
		i.Phase, i.Detail = manager.PhaseFailed, "exit status "+strconv.Itoa(s.ExitCode)
	}
	if i.Phase != manager.PhaseRunning {
		return i, nil
	}
	door, err := d.client.ContainerInspect(ctx, d.doorName(worker))
	if gone(err) != nil {
		return i, fmt.Errorf("docker: %w", err)
	}
	if err != nil || !door.State.Running {
		i.Phase, i.Detail = manager.PhaseFailed, "its way to the gateway has ended"
	}
	return i, nil
}

// Instances implements [manager.Launcher]. A Worker of which only a door or a
// volume is left is there without a run.
func (d *Docker) Instances(ctx context.Context) ([]manager.Instance, error) {
	found := map[string]bool{}
	containers, err := d.client.ContainerList(ctx, container.ListOptions{All: true, Filters: d.ours("", "")})
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	for _, c := range containers {
		found[c.Labels[labelWorker]] = true
	}
	volumes, err := d.client.VolumeList(ctx, volume.ListOptions{Filters: d.ours(roleWorker, "")})
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	for _, v := range volumes.Volumes {
		found[v.Labels[labelWorker]] = true
	}
	delete(found, "") // the uplink is of no Worker
	var list []manager.Instance
	for _, worker := range slices.Sorted(maps.Keys(found)) {
		i, err := d.Instance(ctx, worker)
		if isNotFound(err) {
			i, err = manager.Instance{Worker: worker, Phase: manager.PhaseStopped}, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

// Stop implements [manager.Launcher].
func (d *Docker) Stop(ctx context.Context, worker string) error {
	c, err := d.inspect(ctx, worker)
	if err != nil {
		return err
	}
	for _, id := range []string{c.ID, d.doorName(worker)} {
		if err := d.client.ContainerStop(ctx, id, container.StopOptions{}); err != nil {
			return fmt.Errorf("docker: stop %q: %w", worker, err)
		}
	}
	return nil
}

// Start implements [manager.Launcher].
func (d *Docker) Start(ctx context.Context, worker string) error {
	c, err := d.inspect(ctx, worker)
	if err != nil {
		return err
	}
	if err := d.ensureUplink(ctx); err != nil {
		return err
	}
	open, err := d.openDoor(ctx, worker)
	if err != nil {
		return fmt.Errorf("docker: start %q: %w", worker, err)
	}
	if c.State.Running && !open { // in the namespace that the door had before
		if err := d.client.ContainerStop(ctx, c.ID, container.StopOptions{}); err != nil {
			return fmt.Errorf("docker: stop %q: %w", worker, err)
		}
	}
	if err := d.client.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return fmt.Errorf("docker: start %q: %w", worker, err)
	}
	return nil
}

// Remove implements [manager.Launcher].
func (d *Docker) Remove(ctx context.Context, worker string) error {
	if !manager.ValidID(worker) { // an empty one would select those of all Workers
		return fmt.Errorf("docker: remove %q: %w", worker, manager.ErrInvalid)
	}
	if err := d.removeContainers(ctx, "", worker); err != nil {
		return fmt.Errorf("docker: remove %q: %w", worker, err)
	}
	if err := d.removeVolumes(ctx, worker); err != nil {
		return fmt.Errorf("docker: remove %q: %w", worker, err)
	}
	return nil
}

// removeContainers ends a Worker's containers of a role, or of all, and takes
// them away.
func (d *Docker) removeContainers(ctx context.Context, role, worker string) error {
	list, err := d.client.ContainerList(ctx, container.ListOptions{All: true, Filters: d.ours(role, worker)})
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := gone(d.client.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})); err != nil {
			return err
		}
	}
	return nil
}

// Logs implements [manager.Launcher].
func (d *Docker) Logs(ctx context.Context, worker string, lines int) ([]byte, error) {
	c, err := d.inspect(ctx, worker)
	if err != nil {
		return nil, err
	}
	lines = min(max(lines, 1), manager.MaxLogLines)
	r, err := d.client.ContainerLogs(ctx, c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out manager.LogTail
	if _, err := stdcopy.StdCopy(&out, &out, io.LimitReader(r, 16*manager.MaxLogBytes)); err != nil && !isCut(err) {
		return nil, err
	}
	return out.Bytes(), nil
}
