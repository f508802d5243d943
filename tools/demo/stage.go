package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"keyward/manager/client"
	"keyward/tools/demo/upstream"
	"keyward/tools/dockerd"
)

// Options say where the demo finds and puts things. Zero values have defaults.
type Options struct {
	Plugins string // folder with gate.wasm and key-swap.wasm; "dist"
	Address string // of the gateway; 127.0.0.1 and any free port
	Manager string // address of the Manager's API; 127.0.0.1 and any free port
	Log     bool   // keep the log of Manager and gateway, in [LogFile] of the stage's folder
	Bin     string // folder with the programs for containers; "bin"
	Engine  bool   // start a Docker engine, where that can be done
}

// LogFile is the name of the log of Manager and gateway.
const LogFile = "keyward.log"

// A Stage is the demo up and running, until Close.
type Stage struct {
	Gateway string // base URL
	Metrics string // base URL of the gateway's health and metrics
	Manager string // base URL of the API
	Dir     string // with all that Manager and gateway keep and read

	secrets  secrets
	admin    *client.Client
	mcp, llm upstream.Counter
	mcpURL   string
	llmURL   string
	channel  string      // address of the Manager's listener for gateways
	matrix   *homeserver // nil: none can be had here
	noMatrix error       // why not
	engine   *engine     // nil: none can be had here, or shall be
	noEngine error       // why not

	log     *os.File // nil: nothing is logged
	stop    context.CancelFunc
	running sync.WaitGroup // Manager and gateway
	servers []*http.Server // upstreams
	mu      sync.Mutex
	failed  error // of Manager and gateway
}

// Up starts the upstreams, the Manager, and a gateway that follows it. Nobody may
// do anything yet.
func Up(ctx context.Context, opt Options) (_ *Stage, err error) {
	s := &Stage{}
	ctx, s.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	opt.Plugins = cmp.Or(opt.Plugins, "dist")
	opt.Address = cmp.Or(opt.Address, "127.0.0.1:0")
	opt.Manager = cmp.Or(opt.Manager, "127.0.0.1:0")
	if s.secrets, err = newSecrets(); err != nil {
		return nil, err
	}
	if s.Dir, err = os.MkdirTemp("", "keyward-demo-"); err != nil {
		return nil, err
	}
	if opt.Log {
		if s.log, err = os.OpenFile(filepath.Join(s.Dir, LogFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return nil, err
		}
	}
	if s.mcpURL, err = s.serve(upstream.MCP(s.secrets.mcpKey, &s.mcp)); err != nil {
		return nil, err
	}
	if s.llmURL, err = s.serve(upstream.LLM(s.secrets.llmKey, &s.llm)); err != nil {
		return nil, err
	}
	if s.matrix, err = startHomeserver(ctx, s.Dir); errors.Is(err, errNoHomeserver) {
		s.noMatrix = err
	} else if err != nil {
		return nil, err
	}
	if opt.Engine {
		if s.engine, s.noEngine = startEngine(ctx, cmp.Or(opt.Bin, "bin")); s.noEngine != nil && os.Getenv("CI") == "true" {
			return nil, fmt.Errorf("CI=true demands a Docker engine: %w", s.noEngine)
		}
	}
	if err = s.manager(ctx, opt); err != nil {
		return nil, err
	}
	if err = s.gateway(ctx, opt); err != nil {
		return nil, err
	}
	if s.engine != nil {
		go dockerd.Relay(s.engine.gateway, strings.TrimPrefix(s.Gateway, "http://")) // ends with its listener
	}
	return s, nil
}

// logger is where Manager and gateway log.
func (s *Stage) logger() *slog.Logger {
	if s.log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewJSONHandler(s.log, nil))
}

// serve starts an upstream on a free port of loopback and returns its base URL.
func (s *Stage) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, srv)
	go func() { _ = srv.Serve(l) }() // ends with ErrServerClosed, by Close
	return "http://" + l.Addr().String(), nil
}

// run runs a part of the stage until the stage is closed. When it fails before,
// the stage comes down.
func (s *Stage) run(part func() error) {
	s.running.Go(func() {
		if err := part(); err != nil {
			s.mu.Lock()
			s.failed = errors.Join(s.failed, err)
			s.mu.Unlock()
			s.stop()
		}
	})
}

func (s *Stage) path(name string) string { return filepath.Join(s.Dir, name) }

// keep writes a file that nobody else can read.
func (s *Stage) keep(name, text string) error {
	return os.WriteFile(s.path(name), []byte(text), 0o600)
}

// Close stops everything and removes the folder with its secrets.
func (s *Stage) Close() error {
	s.stop()
	err := s.Wait()
	if s.matrix != nil {
		err = errors.Join(err, s.matrix.close())
	}
	if s.engine != nil {
		err = errors.Join(err, s.engine.close())
	}
	for _, srv := range s.servers {
		err = errors.Join(err, srv.Close())
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	if s.Dir != "" {
		err = errors.Join(err, os.RemoveAll(s.Dir))
	}
	return err
}

// Wait returns when Manager and gateway have stopped, with their errors.
func (s *Stage) Wait() error {
	s.running.Wait()
	return s.failed
}
