package manager

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/forward"
	"keyward/manager/store"
)

// A ForwardConfig says who gets the audit log too.
type ForwardConfig struct {
	OPA  *ReceiverConfig `yaml:"opa"`  // endpoint for OPA's decision logs; nil: none
	OTLP *ReceiverConfig `yaml:"otlp"` // OpenTelemetry receiver, by its URL without /v1/logs; nil: none
}

// A ReceiverConfig says where something is sent.
type ReceiverConfig struct {
	URL       string `yaml:"url"`
	TokenFile string `yaml:"tokenFile"` // of a bearer token; empty: none

	receiver forward.Receiver
}

// complete reads the files that it names; dir is that of the configuration.
func (c *ForwardConfig) complete(dir string) error {
	for name, r := range map[string]*ReceiverConfig{"opa": c.OPA, "otlp": c.OTLP} {
		if r == nil {
			continue
		}
		r.receiver = forward.Receiver{URL: r.URL}
		if path := r.TokenFile; path != "" {
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			b, err := readFile(path)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if r.receiver.Token = strings.TrimSpace(string(b)); r.receiver.Token == "" {
				return fmt.Errorf("%s: %s: is empty", name, path)
			}
		}
		if err := r.receiver.Validate(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// forwarders are those to the configured receivers, by name.
func (c *ForwardConfig) forwarders(ctx context.Context, s *store.Store, log *slog.Logger, registry prometheus.Registerer) (map[string]*forward.Forwarder, error) {
	sinks := map[string]forward.Sink{}
	var err error
	if c.OPA != nil {
		if sinks["opa"], err = forward.NewOPA(c.OPA.receiver); err != nil {
			return nil, fmt.Errorf("log: forward: opa: %w", err)
		}
	}
	if c.OTLP != nil {
		if sinks["otlp"], err = forward.NewOTLP(ctx, c.OTLP.receiver); err != nil {
			return nil, fmt.Errorf("log: forward: otlp: %w", err)
		}
	}
	list := map[string]*forward.Forwarder{}
	for name, sink := range sinks {
		if list[name], err = forward.New(s, name, sink, forward.Options{Log: log, Metrics: registry}); err != nil {
			return nil, err
		}
	}
	return list, nil
}
