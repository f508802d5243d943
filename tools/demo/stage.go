package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"keyward/plugins/snapshot"
	"keyward/tools/demo/upstream"
	"keyward/tools/gateway"
)

// Options say where the demo finds and puts things. Zero values have defaults.
type Options struct {
	Plugins string       // folder with gate.wasm and key-swap.wasm; "dist"
	Address string       // of the gateway; 127.0.0.1 and any free port
	Log     *slog.Logger // of the gateway; nil: discarded
}

// A Stage is the demo up and running, until Close.
type Stage struct {
	Gateway string // base URL
	Admin   string // base URL of health and metrics
	Dir     string // with all that the gateway reads

	secrets  secrets
	snapshot *snapshot.Snapshot
	mcp, llm upstream.Counter
	llmURL   string

	stop    context.CancelFunc
	running sync.WaitGroup
	servers []*http.Server
	failed  error // of the gateway; valid once running is done
}

// Up starts the upstreams and the gateway in front of them.
func Up(ctx context.Context, opt Options) (_ *Stage, err error) {
	s := &Stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.secrets, err = newSecrets(); err != nil {
		return nil, err
	}
	if s.Dir, err = os.MkdirTemp("", "keyward-demo-"); err != nil {
		return nil, err
	}
	mcpURL, err := s.serve(upstream.MCP(s.secrets.mcpKey, &s.mcp))
	if err != nil {
		return nil, err
	}
	if s.llmURL, err = s.serve(upstream.LLM(s.secrets.llmKey, &s.llm)); err != nil {
		return nil, err
	}
	if s.snapshot, err = newSnapshot(s.secrets); err != nil {
		return nil, err
	}
	if err = s.writeSnapshot(); err != nil {
		return nil, err
	}
	return s, s.gateway(ctx, opt, mcpURL)
}

// serve starts an upstream on a free port of loopback and returns its base URL.
func (s *Stage) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, srv)
	s.running.Go(func() { _ = srv.Serve(l) }) // ends with ErrServerClosed
	return "http://" + l.Addr().String(), nil
}

func (s *Stage) gateway(ctx context.Context, opt Options, mcpURL string) error {
	file, err := s.writeConfig(opt, mcpURL)
	if err != nil {
		return err
	}
	config, err := gateway.Load(file)
	if err != nil {
		return err
	}
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, s.stop = context.WithCancel(ctx)
	g, err := gateway.New(ctx, config, log)
	if err != nil {
		return err
	}
	s.Gateway, s.Admin = "http://"+g.Addrs()[0], "http://"+g.AdminAddr()
	s.running.Go(func() { s.failed = g.Run(ctx) })
	return nil
}

// config is the gateway's configuration; docs/gateway.md describes it.
const config = `listeners:
  - address: %[1]q
admin: "127.0.0.1:0"
workers: 2

clusters:
  - {name: ` + mcpCluster + `, urls: [%[2]q]}
  - {name: ` + llmCluster + `, urls: [%[3]q]}

routes:
  - {name: ` + mcpTarget + `, path: ` + mcpPath + `, cluster: ` + mcpCluster + `, prefix_rewrite: "/"}
  - {name: ` + llmTarget + `, path: ` + llmPath + `, cluster: ` + llmCluster + `}

plugins:
  - name: gate
    file: %[4]q
    vm_id: keyward-gate
    snapshot: snapshot.json
  - name: key-swap
    file: %[5]q
    vm_id: keyward-key-swap
    env: [{name: KEYWARD_GATEWAY_KEYS, from_file: gateway.key}]
    snapshot: snapshot.json
`

func (s *Stage) writeConfig(opt Options, mcpURL string) (string, error) {
	dist, address := opt.Plugins, opt.Address
	if dist == "" {
		dist = "dist"
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	dist, err := filepath.Abs(dist)
	if err != nil {
		return "", err
	}
	key, err := s.secrets.gateway.Reveal()
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "gateway.key"), []byte(key+"\n"), 0o600); err != nil {
		return "", err
	}
	text := fmt.Sprintf(config, address, mcpURL, s.llmURL, filepath.Join(dist, "gate.wasm"), filepath.Join(dist, "key-swap.wasm"))
	file := filepath.Join(s.Dir, "gateway.yaml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// writeSnapshot replaces the snapshot file in one step, so that no reader sees
// half of it.
func (s *Stage) writeSnapshot() error {
	next := filepath.Join(s.Dir, "snapshot.json.new")
	if err := os.WriteFile(next, snapshot.Encode(s.snapshot), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(s.Dir, "snapshot.json"))
}

// setState publishes the Worker's new state.
func (s *Stage) setState(state snapshot.State) error {
	s.snapshot.Generation++
	s.snapshot.Consumers = []snapshot.Consumer{researcher(s.secrets, state)}
	return s.writeSnapshot()
}

// Close stops everything and removes the folder with its secrets.
func (s *Stage) Close() error {
	if s.stop != nil {
		s.stop()
	}
	for _, srv := range s.servers {
		_ = srv.Close()
	}
	s.running.Wait()
	err := s.failed
	if s.Dir != "" {
		err = errors.Join(err, os.RemoveAll(s.Dir))
	}
	return err
}

// Wait returns when the gateway has stopped, with its error.
func (s *Stage) Wait() error {
	s.running.Wait()
	return s.failed
}
