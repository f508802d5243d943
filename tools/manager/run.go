package manager

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"keyward/manager/agent"
	"keyward/manager/api"
	"keyward/manager/audit"
	"keyward/manager/channel"
	"keyward/manager/folder"
	"keyward/manager/matrix"
	"keyward/manager/oidc"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/tools/tracing"
)

// Times of a server's life.
const (
	readyTimeout = 2 * time.Second
	stopTimeout  = 20 * time.Second // for requests that are being answered
	sweepEvery   = 10 * time.Minute
	maxHeader    = 32 << 10 // bytes
)

// Run runs the Manager until ctx is done. The first admin token, if there never
// was one, goes to stdout and nowhere else.
func Run(ctx context.Context, c *Config, stdout io.Writer, log *slog.Logger) error {
	s, err := store.Open(ctx, c.Store.DSN, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	first, ok, err := s.Bootstrap(ctx)
	if err != nil {
		return err
	}
	if ok {
		fmt.Fprintf(stdout, "The first admin token. It is shown this once, and ends at %s:\n\n  %s\n\n",
			first.Object.Expires.Format(time.RFC3339), first.Secret)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	key, err := signingKey(c.Gateways.SigningKey)
	if err != nil {
		return fmt.Errorf("gateways: signing key: %w", err)
	}
	public := changes.FormatPublicKey(key.Public().(ed25519.PublicKey))
	if err := claim(ctx, s, store.KeyGateways, public, c.Gateways.SigningKey); err != nil {
		return fmt.Errorf("gateways: signing key: %w", err)
	}
	log.Info("gateways need this public key", slog.String("key", public))
	identifier, err := identifier(c.OIDC)
	if err != nil {
		return err
	}
	tracer, err := tracing.New(ctx, c.Tracing, "keyward-manager")
	if err != nil {
		return err
	}
	defer stopTracing(ctx, tracer, log)
	rooms, err := c.Matrix.service(s, log, registry)
	if err != nil {
		return err
	}
	files, err := c.Files.service(s, log, registry)
	if err != nil {
		return err
	}
	workers, closeWorkers, err := c.Workers.service(s, log, registry, files.Targets(), parts(rooms, files)...)
	if err != nil {
		return err
	}
	defer closeWorkers() // connections to the engine, which end anyway
	opt := api.Options{Compiler: rego.Compiler{}, Log: log, Metrics: registry, GatewayKey: public, Identifier: identifier, Stop: ctx.Done()}
	if workers != nil {
		opt.Workers = workers
	}
	binaries, err := c.Plugins.load()
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	publish, err := c.Plugins.Publish.publisher(binaries, public, s, log, registry)
	if err != nil {
		return fmt.Errorf("plugins: publish: %w", err)
	}
	logKey, err := logKey(c.Log.Key)
	if err != nil {
		return fmt.Errorf("log: key: %w", err)
	}
	if err := claim(ctx, s, store.KeyLog, logKey.Public(), c.Log.Key); err != nil {
		return fmt.Errorf("log: key: %w", err)
	}
	keeper, err := audit.NewKeeper(s, logKey, audit.Options{Log: log})
	if err != nil {
		return err
	}
	log.Info("checkpoints of the audit log are signed by", slog.String("key", keeper.PublicKey()))
	opt.Keeper = keeper
	a, err := api.New(s, opt)
	if err != nil {
		return err
	}
	gateways := channel.New(s, channel.Options{Key: key, Log: log, Stop: ctx.Done()})
	var policies *folder.Watcher
	if c.PolicyDir != "" {
		if policies, err = folder.New(c.PolicyDir, s, rego.Compiler{}, log); err != nil {
			return fmt.Errorf("policyDir: %w", err)
		}
	}
	forwarders, err := c.Log.Forward.forwarders(ctx, s, log, registry)
	if err != nil {
		return err
	}
	turns, err := newTurns(s, log)
	if err != nil {
		return err
	}
	var stopping atomic.Bool
	ops := operations(s, turns, rooms, registry, &stopping)
	servers := []*server{
		{name: "api", listen: c.API.Listen, cert: c.API.Cert, key: c.API.Key, Server: newHTTP(tracer.Handler("manager.api", a), log)},
		{name: "gateways", listen: c.Gateways.Listen, cert: c.Gateways.Cert, key: c.Gateways.Key, Server: newHTTP(gateways, log)},
		{name: "operations", listen: c.Operations.Listen, Server: newHTTP(ops, log)},
	}
	if l := c.Agents; l != nil {
		servers = append(servers, &server{name: "agents", listen: l.Listen, cert: l.Cert, key: l.Key, Server: newHTTP(tracer.Handler("manager.agents", agent.New(a, log)), log)})
	}
	if l := c.Files; l != nil {
		servers = append(servers, &server{name: "files", listen: l.Listen, cert: l.Cert, key: l.Key, Server: newHTTP(tracer.Handler("manager.files", files), log)})
	}
	servers = append(servers, c.Plugins.servers(binaries, log)...)
	return serve(ctx, servers, c.Started, log, &stopping, func(ctx context.Context) {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			s.Listen(ctx, func(err error) { log.Warn("not hearing of other Managers", slog.Any("error", err)) })
		})
		wg.Go(func() { publish(ctx) })
		wg.Go(func() { keeper.Run(ctx) })
		wg.Go(func() { gateways.Watch(ctx) })
		if keep := c.Log.Keep; keep > 0 {
			wg.Go(func() { retain(ctx, s, keep, slices.Collect(maps.Keys(forwarders)), rooms != nil, log) })
		}
		for name, f := range forwarders {
			wg.Go(func() { turns.lead(ctx, "forward "+name, f.Run) })
		}
		if rooms != nil {
			wg.Go(func() { turns.lead(ctx, "matrix", rooms.Run) })
		}
		if files != nil {
			wg.Go(func() { files.Run(ctx) })
		}
		if workers != nil {
			wg.Go(func() { turns.lead(ctx, "workers", workers.Run) })
		}
		if policies != nil {
			wg.Go(func() { watch(ctx, policies, log) })
		}
		sweep(ctx, s, log)
	})
}

func watch(ctx context.Context, policies *folder.Watcher, log *slog.Logger) {
	if err := policies.Run(ctx); err != nil {
		log.Error("the policy folder is not watched any more", slog.Any("error", err))
	}
}

// stopTracing sends the last spans.
func stopTracing(ctx context.Context, t *tracing.Tracer, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	if err := t.Stop(ctx); err != nil {
		log.Warn("the last spans are lost", slog.Any("error", err))
	}
}

// identifier is nil without a provider.
func identifier(c *oidc.Config) (api.Identifier, error) {
	if c == nil {
		return nil, nil
	}
	p, err := oidc.New(*c, oidc.Options{})
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return p, nil
}

func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // a gateway's request stays open for up to 55 s
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// operations serves what whoever operates the Manager needs. It has no
// credentials, and tells no secrets.
func operations(s *store.Store, turns *turns, rooms *matrix.Service, registry *prometheus.Registry, stopping *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		switch {
		case stopping.Load():
			http.Error(w, "stopping", http.StatusServiceUnavailable)
		case s.Ready(ctx) != nil:
			http.Error(w, "the store does not answer, or has another schema", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
			if rooms != nil { // a Manager without its homeserver still serves gateways
				health := rooms.Health(ctx).String()
				if !turns.leads("matrix") {
					health = "another Manager has its turn"
				}
				fmt.Fprintln(w, "matrix:", health)
			}
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// A server is a listener and what serves it.
type server struct {
	*http.Server
	name, listen, cert, key string
}

// serve runs servers, and background until they stop: when ctx is done or one of
// them fails.
func serve(ctx context.Context, servers []*server, started func(map[string]string), log *slog.Logger, stopping *atomic.Bool, background func(context.Context)) error {
	failed := make(chan error, len(servers))
	addresses := map[string]string{}
	for i, srv := range servers {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", srv.listen)
		if err != nil {
			for _, started := range servers[:i] {
				err = errors.Join(err, started.Close())
			}
			return err
		}
		addresses[srv.name] = l.Addr().String()
		log.Info("listening", slog.String("for", srv.name), slog.String("address", l.Addr().String()), slog.Bool("tls", srv.cert != ""))
		go func() {
			if srv.cert != "" {
				failed <- srv.ServeTLS(l, srv.cert, srv.key)
			} else {
				failed <- srv.Serve(l)
			}
		}()
	}
	if started != nil {
		started(addresses)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		background(ctx)
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stopping.Store(true)
	cancel()
	grace, end := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer end()
	for _, srv := range servers {
		err = errors.Join(err, srv.Shutdown(grace))
	}
	<-done
	log.Info("stopped")
	return err
}

// sweep erases now and then what has outlived its time.
func sweep(ctx context.Context, s *store.Store, log *slog.Logger) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Error("sweep failed", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
