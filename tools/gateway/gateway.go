package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"keyward/tools/gateway/wasmhost"
	"keyward/tools/tracing"
)

// A Gateway serves with one configuration.
type Gateway struct {
	config   *Config
	log      *slog.Logger
	metrics  *metrics
	tracer   *tracing.Tracer // nil: none
	router   *router
	clusters map[string]*cluster
	host     *wasmhost.Host
	servers  []*http.Server
	sockets  []net.Listener // of servers, the admin's last
	next     atomic.Uint32  // counts connections
	ready    atomic.Bool
	open     sync.WaitGroup      // requests under way
	started  map[string][32]byte // by plugin: SHA-256 of its first configuration
}

// New loads plugins, opens the listeners and checks all that c names. Nothing
// is served before [Gateway.Run].
func New(ctx context.Context, c *Config, log *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{config: c, log: log, metrics: newMetrics(), clusters: map[string]*cluster{}, started: map[string][32]byte{}}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.tracer, err = tracing.New(ctx, c.Tracing, "keyward-gateway"); err != nil {
		return nil, err
	}
	for _, spec := range c.Clusters {
		if g.clusters[spec.Name], err = c.newCluster(spec); err != nil {
			return nil, err
		}
	}
	g.router = newRouter(c.Routes, g.clusters)
	plugins, err := c.readPlugins()
	if err != nil {
		return nil, err
	}
	for _, p := range plugins {
		g.started[p.Name] = sha256.Sum256(p.Configuration)
	}
	if g.host, err = wasmhost.New(ctx, plugins, g.hostOptions()); err != nil {
		return nil, err
	}
	g.metrics.registry.MustRegister(pluginCollector{g.host})
	for _, p := range c.Plugins {
		if p.Snapshot != "" {
			g.metrics.loaded.WithLabelValues(p.Name).SetToCurrentTime()
		}
	}
	return g, g.listen()
}

func (g *Gateway) hostOptions() wasmhost.Options {
	persona := wasmhost.Envoy
	if g.config.Persona == "higress" {
		persona = wasmhost.Higress
	}
	return wasmhost.Options{
		Workers: g.config.Workers, Persona: persona, CacheDir: g.config.cacheDir(),
		Log: g.pluginLog, Fault: g.fault,
		HasCluster: func(name string) bool { return g.clusters[name] != nil },
		Call: func(ctx context.Context, r wasmhost.CallRequest) (wasmhost.CallResponse, error) {
			return g.clusters[r.Cluster].call(ctx, r)
		},
	}
}

// cacheDir is where compiled plugins are kept; "" where there is no place.
func (c *Config) cacheDir() string {
	if c.CompileCache != "" {
		return c.path(c.CompileCache)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "keyward", "wazero")
}

// listen opens all listeners.
func (g *Gateway) listen() error {
	for _, l := range g.config.Listeners {
		s := g.newServer(g.tracer.Handler("gateway.request", http.HandlerFunc(g.serve)))
		if l.TLS != nil {
			cert, err := g.config.certificate(l)
			if err != nil {
				return err
			}
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		}
		if err := g.bind(l.Address, s); err != nil {
			return err
		}
	}
	if g.config.Admin == "" {
		return nil
	}
	return g.bind(g.config.Admin, g.newServer(g.admin()))
}

func (g *Gateway) bind(address string, s *http.Server) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	g.sockets, g.servers = append(g.sockets, l), append(g.servers, s)
	return nil
}

func (g *Gateway) newServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	l := g.config.Limits
	return &http.Server{
		Handler: h, Protocols: protocols, MaxHeaderBytes: l.HeaderBytes,
		ReadHeaderTimeout: l.HeaderTimeout, IdleTimeout: l.IdleTimeout,
		ConnContext: g.pin, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
}

type workerKey struct{}

// pin gives a connection to a worker, in turn.
func (g *Gateway) pin(ctx context.Context, _ net.Conn) context.Context {
	workers := g.host.Workers()
	return context.WithValue(ctx, workerKey{}, workers[int(g.next.Add(1)-1)%len(workers)])
}

func worker(ctx context.Context) *wasmhost.Worker { return ctx.Value(workerKey{}).(*wasmhost.Worker) }

// Addrs are the addresses of the listeners, in the configuration's order.
func (g *Gateway) Addrs() []string {
	addrs := make([]string, len(g.config.Listeners))
	for i := range addrs {
		addrs[i] = g.sockets[i].Addr().String()
	}
	return addrs
}

// AdminAddr is the address of the admin listener; "" when there is none.
func (g *Gateway) AdminAddr() string {
	if g.config.Admin == "" {
		return ""
	}
	return g.sockets[len(g.sockets)-1].Addr().String()
}

// Run serves until ctx is done, then finishes open requests within the drain
// timeout and cuts the rest. It must be called once.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher, err := g.watch()
	if err != nil {
		return errors.Join(err, g.close())
	}
	var wg sync.WaitGroup
	wg.Go(func() { watcher.run(ctx) })
	failed := make(chan error, len(g.servers))
	for i, s := range g.servers {
		go func() {
			if s.TLSConfig != nil {
				failed <- s.ServeTLS(g.sockets[i], "", "")
				return
			}
			failed <- s.Serve(g.sockets[i])
		}()
	}
	g.ready.Store(true)
	g.log.Info("serving", "addresses", g.Addrs(), "admin", g.AdminAddr(), "workers", len(g.host.Workers()))
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	g.ready.Store(false)
	cancel()
	wg.Wait()
	err = errors.Join(err, g.drain())
	g.stopTracing()
	return errors.Join(err, g.close())
}

// drain stops all servers; open requests get the drain timeout.
func (g *Gateway) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), g.config.Limits.DrainTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range g.servers {
		wg.Go(func() {
			if s.Shutdown(ctx) != nil {
				g.log.Warn("open requests are cut", "after", g.config.Limits.DrainTimeout)
				_ = s.Close()
			}
		})
	}
	wg.Wait()
	g.open.Wait()
	return nil
}

// stopTracing sends the last spans, for a short time.
func (g *Gateway) stopTracing() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := g.tracer.Stop(ctx); err != nil {
		g.log.Warn("the last spans are lost", "error", err)
	}
}

func (g *Gateway) close() error {
	for _, l := range g.sockets {
		_ = l.Close() // closed already where it was served
	}
	for _, c := range g.clusters {
		if c != nil {
			c.transport.CloseIdleConnections()
		}
	}
	if g.host == nil {
		return nil
	}
	return g.host.Close(context.Background())
}
