package manager

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/docker"
	"keyward/manager/files"
	"keyward/manager/heartbeat"
	"keyward/manager/matrix"
	"keyward/manager/store"
	"keyward/manager/workers"
)

// A WorkersConfig says where and how Workers run. One Manager of a store has it.
type WorkersConfig struct {
	Gateway      string            `yaml:"gateway"` // URL of the gateway as Workers see it; empty: http://gateway:8080
	Paths        map[string]string `yaml:"paths"`   // target to the path of its endpoint, where its match does not say it
	MatrixDomain string            `yaml:"matrixDomain"`
	Bucket       string            `yaml:"bucket"`
	Docker       *DockerConfig     `yaml:"docker"`
	Kubernetes   *KubernetesConfig `yaml:"kubernetes"` // in place of docker
	Rotate       RotateConfig      `yaml:"rotate"`
	Heartbeat    HeartbeatConfig   `yaml:"heartbeat"`
}

// A DockerConfig says how Workers run in containers of a Docker engine.
type DockerConfig struct {
	Host      string `yaml:"host"`      // URL of the engine's API; empty: as DOCKER_HOST says
	Name      string `yaml:"name"`      // of this Manager on the engine; empty: keyward
	To        string `yaml:"to"`        // host:port of the gateway; host "host" is the engine's machine
	Forwarder string `yaml:"forwarder"` // file; `make forward` builds it
	Seccomp   string `yaml:"seccomp"`   // file with a profile; empty: Docker's newest default
	Runtime   string `yaml:"runtime"`   // such as runsc; empty: the engine's default
}

// A RotateConfig says when Workers get new tokens by themselves.
type RotateConfig struct {
	Every   time.Duration `yaml:"every"`   // such as 720h; 0: never
	Overlap time.Duration `yaml:"overlap"` // 0: the old token ends at once
}

// complete fills in defaults and checks what is there. A nil c runs no Workers.
func (c *WorkersConfig) complete(dir string) error {
	if c == nil {
		return nil
	}
	if c.Gateway == "" {
		c.Gateway = "http://gateway:8080"
	}
	switch {
	case (c.Docker == nil) == (c.Kubernetes == nil):
		return errors.New("workers: set one of docker and kubernetes")
	case c.Docker != nil && (c.Docker.To == "" || c.Docker.Forwarder == ""):
		return errors.New("workers: docker: set to and forwarder")
	}
	if c.Rotate.Every < 0 || c.Rotate.Overlap < 0 || c.Rotate.Every > 0 && c.Rotate.Overlap >= c.Rotate.Every {
		return errors.New("workers: rotate: overlap must be shorter than every")
	}
	if err := c.Heartbeat.check(); err != nil {
		return err
	}
	if c.Kubernetes != nil {
		c.Kubernetes.complete(dir)
		return nil
	}
	c.Docker.Forwarder, c.Docker.Seccomp = under(dir, c.Docker.Forwarder), under(dir, c.Docker.Seccomp)
	return nil
}

// service is what looks after Workers and watches them, and closes its backend. It
// is nil for a Manager without. Requests to targets in the background are no sign
// of a Worker's work.
func (c *WorkersConfig) service(s *store.Store, log *slog.Logger, registry prometheus.Registerer, background []string, parts ...workers.Part) (*watched, func() error, error) {
	if c == nil {
		return nil, func() error { return nil }, nil
	}
	backend, closeBackend, err := c.backend()
	if err != nil {
		return nil, nil, fmt.Errorf("workers: %w", err)
	}
	w, err := workers.New(s, backend, workers.Options{
		Environment: workers.Environment{Gateway: c.Gateway, Paths: c.Paths, MatrixDomain: c.MatrixDomain, Bucket: c.Bucket},
		Parts:       parts,
		Rotation:    workers.Rotation{Every: c.Rotate.Every, Overlap: c.Rotate.Overlap},
		Log:         log, Metrics: registry,
	})
	if err != nil {
		return nil, nil, errors.Join(err, closeBackend())
	}
	h, err := heartbeat.New(s, backend, heartbeat.Options{Every: c.Heartbeat.Every, Background: background, Log: log, Metrics: registry})
	if err != nil {
		return nil, nil, errors.Join(err, closeBackend())
	}
	return &watched{w, h}, closeBackend, nil
}

// parts are what Workers have beside their containers.
func parts(rooms *matrix.Service, files *files.Service) []workers.Part {
	var list []workers.Part
	if rooms != nil {
		list = append(list, rooms.Part())
	}
	if files != nil {
		list = append(list, files)
	}
	return list
}

// backend is what runs Workers, and closes it.
func (c *WorkersConfig) backend() (manager.Launcher, func() error, error) {
	if c.Kubernetes != nil {
		k, err := c.Kubernetes.backend(c.Gateway)
		return k, func() error { return nil }, err
	}
	seccomp := ""
	if c.Docker.Seccomp != "" {
		b, err := readFile(c.Docker.Seccomp)
		if err != nil {
			return nil, nil, err
		}
		seccomp = string(b)
	}
	d, err := docker.New(docker.Options{
		Host: c.Docker.Host, Name: c.Docker.Name, Gateway: c.Gateway, To: c.Docker.To,
		Forwarder: c.Docker.Forwarder, Seccomp: seccomp, Runtime: c.Docker.Runtime,
	})
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}
