package manager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/publish"
	"keyward/manager/store"
	"keyward/plugins/live"
	"keyward/tools/wasmlink/link"
)

// A PluginsConfig says where the plugins are and how a Higress gateway gets
// them. Without a folder nothing is served or published.
type PluginsConfig struct {
	Dir     string         `yaml:"dir"`    // with gate.wasm and key-swap.wasm; empty: none
	Listen  string         `yaml:"listen"` // serves them to gateways; empty: 127.0.0.1:8703
	Publish *PublishConfig `yaml:"publish"`
}

// A PublishConfig says where resources are written and what is in them.
type PublishConfig struct {
	To         string `yaml:"to"`         // kubernetes, standalone or folder
	Kubeconfig string `yaml:"kubeconfig"` // file; empty: the Pod's service account
	Namespace  string `yaml:"namespace"`  // empty: higress-system
	Folder     string `yaml:"folder"`     // for folder

	URL       string        `yaml:"url"`       // where a gateway gets the plugins, such as http://keyward-manager.keyward:8703/plugins
	Cluster   string        `yaml:"cluster"`   // the gateway's name for the Manager, such as outbound|8702||keyward-manager.keyward.svc.cluster.local
	Authority string        `yaml:"authority"` // of the gateway's requests to the Manager; empty: keyward-manager
	MaxStale  time.Duration `yaml:"maxStale"`  // 0: 15 minutes

	KeysFrom    publish.KeySource `yaml:"keysFrom"`    // host or secret; empty: host
	KeysSecret  string            `yaml:"keysSecret"`  // NAMESPACE/NAME.KEY, for secret
	TokenSecret string            `yaml:"tokenSecret"` // NAMESPACE/NAME.KEY, for secret
}

func (c *PluginsConfig) complete(dir string) error {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:8703")
	p := c.Publish
	if p == nil {
		c.Dir = under(dir, c.Dir)
		return nil
	}
	c.Dir, p.Kubeconfig, p.Folder = under(dir, c.Dir), under(dir, p.Kubeconfig), under(dir, p.Folder)
	p.Namespace = cmp.Or(p.Namespace, publish.DefaultNamespace)
	p.Authority = cmp.Or(p.Authority, "keyward-manager")
	p.MaxStale = cmp.Or(p.MaxStale, live.DefaultMaxStale)
	switch {
	case c.Dir == "":
		return errors.New("plugins: set dir, the folder with what is published")
	case (p.To == "folder") != (p.Folder != ""):
		return errors.New("plugins.publish: set folder with to: folder, and only then")
	case p.To == "standalone" && p.Kubeconfig == "":
		return errors.New("plugins.publish: to: standalone needs kubeconfig")
	case p.To != "kubernetes" && p.To != "standalone" && p.To != "folder":
		return fmt.Errorf("plugins.publish.to: %q is not kubernetes, standalone or folder", p.To)
	case p.URL == "" || p.Cluster == "":
		return errors.New("plugins.publish: set url and cluster")
	case p.MaxStale < time.Second || p.MaxStale%time.Second != 0:
		return errors.New("plugins.publish.maxStale: want whole seconds")
	}
	return nil
}

// under is a path as seen from dir; empty stays empty.
func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// load reads the plugins; nil: there are none.
func (c *PluginsConfig) load() (map[string]publish.Binary, error) {
	if c.Dir == "" {
		return nil, nil
	}
	binaries := map[string]publish.Binary{}
	for _, p := range publish.Plugins {
		wasm, err := link.ReadFile(filepath.Join(c.Dir, p.Name+".wasm"))
		if err != nil {
			return nil, err
		}
		binaries[p.Name] = wasm
	}
	return binaries, nil
}

// publisher returns what keeps binaries published until its context is done. key
// is the public key by which gateways know the Manager; what they confirm is in s.
func (c *PublishConfig) publisher(binaries map[string]publish.Binary, key string, s *store.Store, log *slog.Logger, r prometheus.Registerer) (func(context.Context), error) {
	if c == nil {
		return func(context.Context) {}, nil
	}
	config, err := json.Marshal(map[string]any{"manager": map[string]any{
		"cluster": c.Cluster, "authority": c.Authority, "key": key, "max_stale": int64(c.MaxStale / time.Second),
	}})
	if err != nil {
		return nil, err
	}
	if _, _, err := live.ReadConfig(config); err != nil {
		return nil, err
	}
	resources, err := publish.WasmPlugins(publish.Options{
		Namespace: c.Namespace, BaseURL: c.URL, Config: config, Live: true,
		KeysFrom: c.KeysFrom, Secret: c.KeysSecret, TokenSecret: c.TokenSecret,
	}, binaries)
	if err != nil {
		return nil, err
	}
	place, err := c.place(log)
	if err != nil {
		return nil, err
	}
	m, confirm := newPublishMetrics(r), newConfirmation(s, log, r)
	p := publish.NewPublisher(place, resources, publish.PublisherOptions{Log: log, Changed: func(resource string, c publish.Change, err error) {
		m.changed(resource, c, err)
		if err == nil {
			confirm.note()
		}
	}})
	m.applied(r, p)
	return func(ctx context.Context) {
		var confirming sync.WaitGroup
		defer confirming.Wait()
		confirming.Go(func() { confirm.run(ctx) })
		p.Run(ctx)
	}, nil
}

func (c *PublishConfig) place(log *slog.Logger) (publish.Place, error) {
	if c.To == "folder" {
		return publish.NewFolder(c.Folder)
	}
	return publish.NewCluster(publish.ClusterOptions{
		Kubeconfig: c.Kubeconfig, Namespace: c.Namespace, Standalone: c.To == "standalone", Log: log,
	})
}

type publishMetrics struct{ writes *prometheus.CounterVec }

func newPublishMetrics(r prometheus.Registerer) publishMetrics {
	m := publishMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_publish_resources_total",
		Help: "Plugin resources that were created or repaired, or failed to be.",
	}, []string{"resource", "result"})}
	r.MustRegister(m.writes)
	return m
}

func (m publishMetrics) changed(resource string, c publish.Change, err error) {
	result := string(c.Kind)
	if err != nil {
		result = "failed"
	}
	m.writes.WithLabelValues(resource, result).Inc()
}

func (m publishMetrics) applied(r prometheus.Registerer, p *publish.Publisher) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_publish_applied_timestamp_seconds",
		Help: "When all plugin resources were last seen as published; 0: never.",
	}, func() float64 {
		if at := p.Status().Applied; !at.IsZero() {
			return float64(at.UnixMilli()) / 1000
		}
		return 0
	}))
}

// servers is the listener that serves binaries; empty: there are none.
func (c *PluginsConfig) servers(binaries map[string]publish.Binary, log *slog.Logger) []*server {
	if binaries == nil {
		return nil
	}
	s := newHTTP(publish.Files(binaries), log)
	s.MaxHeaderBytes = 8 << 10
	return []*server{{name: "plugins", listen: c.Listen, Server: s}}
}
