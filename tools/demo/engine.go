package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"keyward/tools/dockerd"
)

// Programs that run in containers; `make` builds them as static binaries.
const (
	forwarderProgram = "keyward-forward"
	agentProgram     = "demo-agent"
)

// An engine runs the Workers of the story in containers.
type engine struct {
	*dockerd.Engine
	gateway net.Listener // where they find the gateway
	bin     string       // folder with the programs
}

// startEngine starts a Docker engine of the demo's own.
func startEngine(ctx context.Context, bin string) (*engine, error) {
	dir, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	for _, program := range []string{forwarderProgram, agentProgram} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return nil, fmt.Errorf("%w: make demo builds it", err)
		}
	}
	if what := dockerd.Missing(); what != "" {
		return nil, fmt.Errorf("%s is missing", what)
	}
	d, err := dockerd.Start(ctx)
	if err != nil {
		return nil, err
	}
	l, err := d.Listen("0.0.0.0:0") // of the engine's own network
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &engine{d, l, dir}, nil
}

// workersConfig is added where there is an engine; docs/workers.md describes it.
const workersConfig = "workers: {docker: {host: %q, name: demo, to: \"host:%s\", forwarder: %q}}\n"

func (e *engine) config() string {
	_, port, _ := net.SplitHostPort(e.gateway.Addr().String()) // it is a listener's
	return fmt.Sprintf(workersConfig, e.Host, port, filepath.Join(e.bin, forwarderProgram))
}

func (e *engine) close() error { return errors.Join(e.gateway.Close(), e.Close()) }
