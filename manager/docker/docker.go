// Package docker runs Workers in containers of a Docker engine.
//
// A Worker's container has no privilege, a root that it can't write, and no
// network: a loopback alone. On that loopback its door answers, a small container
// of ours in the same network namespace, which passes TCP through a Unix socket to
// the uplink, which passes it to the gateway and to nothing else. See
// docs/threats.md for what that is up against.
//
// All that the package makes carries its labels, and it touches nothing else.
package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/moby/profiles/seccomp"

	"keyward/manager"
)

// Options of a backend.
type Options struct {
	Host      string // URL of the engine's API; empty: as DOCKER_HOST says
	Name      string // of this Manager on the engine; empty: keyward
	Gateway   string // URL of the gateway as Workers see it, such as http://gateway:8080
	To        string // host:port of the gateway as the uplink reaches it; host "host" is the machine itself
	Forwarder string // file with the static binary of keyward-forward
	Seccomp   string // profile as JSON; empty: Docker's newest default, also on an older engine
	Runtime   string // OCI runtime, such as runsc; empty: the engine's default
}

// A Docker is a backend. It may be used by several goroutines at once, but only
// by one Manager for one name.
type Docker struct {
	client  *client.Client
	opt     Options
	gateway *url.URL

	mu        sync.Mutex // guards the making of the forwarder's image and of the uplink, and
	forwarder forwarder
}

var _ manager.Launcher = (*Docker)(nil)

// Labels of all that is made here.
const (
	labelManager = "dev.keyward.manager" // name of the Manager
	labelRole    = "dev.keyward.role"
	labelWorker  = "dev.keyward.worker"
	labelRun     = "dev.keyward.run"
	labelBinary  = "dev.keyward.binary" // SHA-256 of the forwarder and its settings
)

const loopback = "127.0.0.1"

// Roles of what is made here.
const (
	roleWorker = "worker"
	roleDoor   = "door"
	roleUplink = "uplink"
)

// New returns a backend. It does not talk to the engine yet.
func New(opt Options) (*Docker, error) {
	opt.Name = cmp.Or(opt.Name, "keyward")
	if !manager.ValidID(opt.Name) {
		return nil, fmt.Errorf("docker: name %q must match %s", opt.Name, manager.IDPattern)
	}
	gateway, err := url.Parse(opt.Gateway)
	if err != nil || gateway.Scheme != "http" && gateway.Scheme != "https" || gateway.Hostname() == "" {
		return nil, fmt.Errorf("docker: gateway %q is no http or https URL", opt.Gateway)
	}
	if _, _, err := net.SplitHostPort(opt.To); err != nil {
		return nil, fmt.Errorf("docker: address of the gateway: %w", err)
	}
	// Its door answers on a Worker's loopback, under the gateway's name.
	if ip, err := netip.ParseAddr(gateway.Hostname()); err == nil && ip.String() != loopback {
		return nil, fmt.Errorf("docker: gateway %q must have a name as host, or %s", opt.Gateway, loopback)
	}
	if opt.Seccomp == "" {
		b, err := json.Marshal(seccomp.DefaultProfile())
		if err != nil {
			return nil, fmt.Errorf("docker: seccomp: %w", err)
		}
		opt.Seccomp = string(b)
	}
	from := []client.Opt{client.WithAPIVersionNegotiation()}
	if opt.Host != "" {
		from = append(from, client.WithHost(opt.Host))
	} else {
		from = append(from, client.FromEnv)
	}
	c, err := client.NewClientWithOpts(from...)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return &Docker{client: c, opt: opt, gateway: gateway}, nil
}

// Close ends connections to the engine.
func (d *Docker) Close() error { return d.client.Close() }

// name is what a Worker's container and volume are called.
func (d *Docker) name(worker string) string { return d.opt.Name + "-worker-" + worker }

func (d *Docker) labels(role, worker string) map[string]string {
	l := map[string]string{labelManager: d.opt.Name, labelRole: role}
	if worker != "" {
		l[labelWorker] = worker
	}
	return l
}

// ours selects what this Manager made, of a role and of one Worker unless these
// are empty.
func (d *Docker) ours(role, worker string) filters.Args {
	f := filters.NewArgs(filters.Arg("label", labelManager+"="+d.opt.Name))
	if role != "" {
		f.Add("label", labelRole+"="+role)
	}
	if worker != "" {
		f.Add("label", labelWorker+"="+worker)
	}
	return f
}

// gone forgives that something is not there, or is being removed already.
func gone(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") {
		return nil
	}
	return err
}

func notFound(worker string) error {
	return &manager.Error{Kind: manager.KindWorker, ID: worker, Err: manager.ErrNotFound, Why: "the engine has no container of it"}
}

// Ready reports whether the engine answers.
func (d *Docker) Ready(ctx context.Context) error {
	info, err := d.client.Info(ctx)
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	if !strings.Contains(strings.Join(info.SecurityOptions, " "), "seccomp") {
		return errors.New("docker: the engine has no seccomp, so system calls could not be held back")
	}
	return nil
}

func isNotFound(err error) bool { return errors.Is(err, manager.ErrNotFound) }

// isCut reports whether a stream of logs ended in the middle of a frame, as one
// that is bounded may.
func isCut(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }
