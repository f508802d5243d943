package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"keyward/manager"
)

// Bounds of every Worker that nobody has wanted to choose.
const (
	shmBytes    = 16 << 20 // of /dev/shm
	stopSeconds = 10       // after SIGTERM, before SIGKILL
	restarts    = 5        // of a Worker that ends with an error
)

// containerOf is the container of a Worker, all but its name. It is a pure
// function: what it returns is all that a Worker can have.
func (d *Docker) containerOf(l manager.Launch) (*container.Config, *container.HostConfig) {
	spec := l.Spec.WithDefaults()
	name := d.name(l.Worker)
	user := strconv.FormatInt(spec.User, 10)
	labels := d.labels(roleWorker, l.Worker)
	labels[labelRun] = l.Run
	stop := stopSeconds
	config := &container.Config{
		Image:       spec.Image,
		Cmd:         spec.Command,
		User:        user + ":" + user,
		Env:         environ(l.Env),
		Labels:      labels,
		StopTimeout: &stop,
	}
	host := d.hardened(spec.Limits)
	host.Runtime = d.opt.Runtime
	// The door's names of hosts and its resolver are the Worker's, too.
	host.NetworkMode = container.NetworkMode("container:" + d.doorName(l.Worker))
	host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: restarts}
	for _, dir := range slices.Sorted(maps.Keys(spec.Writable)) {
		host.Tmpfs[dir] = fmt.Sprintf("rw,noexec,nosuid,nodev,size=%dm,mode=1777", spec.Writable[dir])
	}
	host.Mounts = []mount.Mount{{
		Type: mount.TypeVolume, Source: name, Target: manager.WorkerFiles, ReadOnly: true,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: d.labels(roleWorker, l.Worker)},
	}}
	return config, host
}

// hardened is what every container here has, forwarders too.
func (d *Docker) hardened(limits manager.WorkerLimits) *container.HostConfig {
	yes, no := true, false
	memory := limits.MemoryMB << 20
	return &container.HostConfig{
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges", "seccomp=" + d.opt.Seccomp},
		ReadonlyRootfs: true,
		Init:           &yes, // reaps, and passes signals on
		IpcMode:        container.IPCModePrivate,
		CgroupnsMode:   container.CgroupnsModePrivate,
		ShmSize:        shmBytes,
		Tmpfs:          map[string]string{},
		Resources: container.Resources{
			Memory:         memory,
			MemorySwap:     memory, // the sum of both: no swap
			NanoCPUs:       limits.CPUMilli * 1e6,
			PidsLimit:      &limits.Pids,
			OomKillDisable: &no,
			// No limit of processes here: that one counts all containers of a user.
			Ulimits: []*container.Ulimit{
				{Name: "nofile", Soft: limits.Files, Hard: limits.Files},
				{Name: "core", Soft: 0, Hard: 0}, // a core dump has the token
				{Name: "memlock", Soft: 64 << 10, Hard: 64 << 10},
				{Name: "msgqueue", Soft: 0, Hard: 0},
			},
		},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "5m", "max-file": "2"}},
	}
}

// environ is env as a process gets it, in the order of the names.
func environ(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// hostname is a Worker's id as a name of RFC 1123.
func hostname(worker string) string {
	b := []byte(worker)
	for i, c := range b {
		if c == '_' || c == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}
