package testenv

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"

	"keyward/plugins/live"
	"keyward/tools/envoy"
)

// Each worker thread has VMs of its own: state that is kept in one shows as a
// difference between requests. The main thread has one too.
const (
	envoyWorkers = 4
	envoyThreads = envoyWorkers + 1
)

// envoyClusters are those of deploy/envoy/envoy.yaml.
var envoyClusters = []string{"mcp", "llm", "git", "api", "matrix", "files", "objects", "manager"}

// EnvoyOptions says what Envoy runs with. Everything but addresses is taken from
// deploy/envoy/envoy.yaml as it is.
type EnvoyOptions struct {
	Snapshot  []byte            // JSON; empty: none
	Keys      string            // the gateway's private keys, as key-swap reads them
	Manager   *live.Config      // whom the plugins follow; nil: nobody
	Token     string            // the gateway token, for that
	Upstreams map[string]string // cluster name to address; a cluster without one is down
	Cert, Key []byte            // PEM for the TLS listener; nil: a new self-signed one
	Gate      string            // path of another gate.wasm; empty: the repository's
}

// Envoy is a running Envoy with both plugins.
type Envoy struct {
	*Process
	Addr    string // of the listener without TLS
	TLSAddr string
	Admin   string
	dir     string
	plugins []envoy.Plugin
	manager *live.Config
}

// StartEnvoy runs Envoy with the repository's configuration and plugins.
func StartEnvoy(t testing.TB, opt EnvoyOptions) *Envoy {
	t.Helper()
	binary := NeedEnvoy(t)
	e := &Envoy{
		Addr: FreeAddr(t), TLSAddr: FreeAddr(t), Admin: FreeAddr(t),
		dir: t.TempDir(), plugins: envoy.Plugins(Plugins(t)), manager: opt.Manager,
	}
	if opt.Gate != "" {
		e.plugins[0].Wasm = opt.Gate
	}
	addresses := map[string]string{"local": e.Addr, "gateway": e.TLSAddr, "admin": e.Admin}
	for _, cluster := range envoyClusters {
		addresses[cluster] = opt.Upstreams[cluster]
		if opt.Upstreams[cluster] == "" {
			addresses[cluster] = FreeAddr(t)
		}
	}
	source, err := os.ReadFile(filepath.Join(Root(t), "deploy", "envoy", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := readdress(source, addresses)
	if err != nil {
		t.Fatal(err)
	}
	if opt.Cert == nil {
		ca := NewCA(t)
		opt.Cert, opt.Key = ca.Issue(t, "localhost")
	}
	for name, content := range map[string][]byte{"envoy.yaml": config, "tls.crt": opt.Cert, "tls.key": opt.Key} {
		if err := os.WriteFile(filepath.Join(e.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.write(t, opt.Snapshot)
	e.Process = Start(t, Command{
		Path: binary,
		Args: []string{"-c", "envoy.yaml", "--concurrency", strconv.Itoa(envoyWorkers), "--use-dynamic-base-id", "--log-level", "info"},
		Dir:  e.dir,
		Env:  []string{envoy.KeysVariable + "=" + opt.Keys, live.EnvToken + "=" + opt.Token},
		// The listeners are there only when the plugins are compiled.
		Healthy: Listening(e.Addr),
	})
	return e
}

// Configure puts another snapshot in place and waits until every thread of
// Envoy has taken it over, or has refused it.
func (e *Envoy) Configure(t testing.TB, snapshot []byte) {
	t.Helper()
	before := len(e.Log())
	e.write(t, snapshot)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	err := Await(ctx, func(context.Context) error {
		log := e.Log()[before:]
		for _, p := range e.plugins {
			if n := threads(log, p.Name); n < envoyThreads {
				return fmt.Errorf("%d threads of %s have the configuration, want %d", n, p.Name, envoyThreads)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("a new snapshot does not get to Envoy: %v", err)
	}
}

// configured matches the line that a plugin logs for a configuration in one VM:
// Envoy puts the thread before it.
var configured = regexp.MustCompile(`(?m)^\[[^]]*\]\[(\d+)\].* wasm log (\S+) \S*: configuration (?:in force|refused)`)

// threads counts the threads that have told of a configuration of plugin.
func threads(log, plugin string) int {
	seen := map[string]bool{}
	for _, m := range configured.FindAllStringSubmatch(log, -1) {
		if m[2] == plugin {
			seen[m[1]] = true
		}
	}
	return len(seen)
}

func (e *Envoy) write(t testing.TB, snapshot []byte) {
	t.Helper()
	if err := envoy.Write(e.dir, envoy.Source{Snapshot: snapshot, Manager: e.manager}, e.plugins); err != nil {
		t.Fatal(err)
	}
}

// readdress gives the listeners, clusters and admin interface of an Envoy
// configuration other addresses, by their names, and leaves all else alone.
func readdress(source []byte, addresses map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, err
	}
	root := doc.Content[0]
	if err := setPort(field(root, "admin"), addresses["admin"]); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	for _, list := range []string{"listeners", "clusters"} {
		for _, n := range field(field(root, "static_resources"), list).Content {
			name := field(n, "name").Value
			addr, ok := addresses[name]
			if !ok {
				return nil, fmt.Errorf("%s has %q, for which there is no address", list, name)
			}
			if err := setPort(n, addr); err != nil {
				return nil, fmt.Errorf("%s %q: %w", list, name, err)
			}
		}
	}
	return yaml.Marshal(&doc)
}

// setPort sets the one port_value below n.
func setPort(n *yaml.Node, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	ports := ports(n)
	if len(ports) != 1 {
		return fmt.Errorf("%d ports, want 1", len(ports))
	}
	if _, err := strconv.Atoi(port); err != nil {
		return err
	}
	ports[0].Value = port
	return nil
}

func ports(n *yaml.Node) []*yaml.Node {
	if v := field(n, "port_value"); v != nil {
		return []*yaml.Node{v}
	}
	var found []*yaml.Node
	for _, c := range n.Content {
		found = append(found, ports(c)...)
	}
	return found
}

// field is the value of a mapping's key; nil when n is no mapping or lacks it.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
