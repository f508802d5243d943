// Package api serves the Manager's HTTP API under /v1. The OpenAPI 3.1 document
// at /openapi.json is made from the same Go types that requests are checked
// against.
//
// # Failure
//
// Every error is a problem document (RFC 9457). What is not a caller's fault is
// answered with an id and nothing else; the log has the rest. No answer and no
// log line holds a secret, but for the one answer that issues it.
package api

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/limit"
	"keyward/manager/store"
)

// Bounds of a request.
const (
	maxBody        = 1 << 20 // bytes; the largest is a policy, of half that
	requestTimeout = 30 * time.Second
)

// Options of an API. The zero value works.
type Options struct {
	Compiler   manager.Compiler      // nil: policies can be neither checked, tested nor published
	Log        *slog.Logger          // nil: slog.Default
	Metrics    prometheus.Registerer // nil: a registry of its own
	Now        func() time.Time      // nil: time.Now
	Version    string                // of the program; empty: "dev"
	Identifier Identifier            // nil: admin tokens alone count
	Workers    WorkerBackend         // nil: this Manager runs no Workers
	// GatewayKey is the public key that gateways need, as the status shows it; empty:
	// there is no channel for gateways.
	GatewayKey string
	// Stop ends answers that are held back, when it is closed; nil: never.
	Stop   <-chan struct{}
	Keeper *audit.Keeper // nil: the log is shown, and nothing of it proved
}

// An API is the Manager's API on a store.
type API struct {
	store    *store.Store
	compiler manager.Compiler
	keeper   *audit.Keeper
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	failures *limit.Limiter

	identifier    Identifier
	workerBackend WorkerBackend
	gatewayKey    string
	stop          <-chan struct{}
	mux           *http.ServeMux
	huma          huma.API
	spec          []byte
}

// New returns the API on a store.
func New(s *store.Store, opt Options) (*API, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	a := &API{
		store:    s,
		compiler: opt.Compiler,
		keeper:   opt.Keeper,
		log:      cmp.Or(opt.Log, slog.Default()),
		now:      opt.Now,
		failures: limit.New(),

		identifier:    opt.Identifier,
		workerBackend: opt.Workers,
		gatewayKey:    opt.GatewayKey,
		stop:          opt.Stop,
		mux:           http.NewServeMux(),
	}
	var err error
	if a.metrics, err = newMetrics(opt.Metrics, s); err != nil {
		return nil, err
	}
	a.huma = humago.New(a.mux, config(cmp.Or(opt.Version, "dev")))
	a.huma.UseMiddleware(a.authenticate)
	a.register()
	if a.spec, err = json.MarshalIndent(a.huma.OpenAPI(), "", "  "); err != nil {
		return nil, err
	}
	page, err := docsPage(a.huma.OpenAPI())
	if err != nil {
		return nil, err
	}
	a.mux.HandleFunc("GET /openapi.json", serve("application/openapi+json", a.spec))
	a.mux.HandleFunc("GET /docs", serve("text/html; charset=utf-8", page))
	return a, nil
}

func (a *API) register() {
	a.registerStatus()
	a.registerLog()
	a.registerConsumers()
	a.registerTokens()
	a.registerTargets()
	a.registerCredentials()
	a.registerGrants()
	a.registerPolicies()
	a.registerBundle()
	a.registerGateways()
	a.registerRooms()
	a.registerSealingKeys()
	a.registerWorkers()
	a.registerAdminTokens()
}

// Spec is the OpenAPI document.
func (a *API) Spec() []byte { return a.spec }

func serve(contentType string, b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(b) // the client is gone
	}
}

func config(version string) huma.Config {
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Keyward Manager",
				Version: version,
				Description: "Consumers, their tokens, targets, credentials, grants and policies of Keyward.\n\n" +
					"Every change answers with the generation that it made (Keyward-Generation), and is an audit event. " +
					"An update needs If-Match with the ETag of what it was based on. " +
					"A request with an Idempotency-Key can be sent again for 24 hours and gets the answer that it got the first time.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"admin": {Type: "http", Scheme: "bearer", Description: "An admin token, kwa_…, or an ID token where the Manager knows an OpenID provider"},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	return c
}
