package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"keyward/manager/channel"
	"keyward/plugins/changes"
	"keyward/tools/gateway"
)

// A world is one Manager's channel and one gateway on a filled store.
type world struct {
	*filled
	url, admin string
	stop       []func()
}

func (w *world) end() {
	for _, stop := range slices.Backward(w.stop) {
		stop()
	}
}

func begin(ctx context.Context, dir string, f *filled) (*world, error) {
	w := &world{filled: f}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(ctx)
	w.stop = append(w.stop, cancel)
	m := httptest.NewServer(channel.New(f.Store, channel.Options{Key: key, Log: log, Stop: ctx.Done()}))
	w.stop = append(w.stop, m.Close)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	w.stop = append(w.stop, up.Close)
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(f.gateway), 0o600); err != nil {
		return nil, err
	}
	dist, err := filepath.Abs("dist")
	if err != nil {
		return nil, err
	}
	plugin := func(name string) string {
		return fmt.Sprintf(`
  - name: %[1]s
    file: %[2]s/%[1]s.wasm
    vm_id: %[1]s
    env: [{name: KEYWARD_GATEWAY_TOKEN, from_file: token}]
    configuration: {manager: {cluster: manager, authority: manager, key: %[3]q}}`, name, dist, changes.FormatPublicKey(public))
	}
	file := filepath.Join(dir, "gateway.yaml")
	text := fmt.Sprintf("listeners: [{address: 127.0.0.1:0}]\nadmin: 127.0.0.1:0\nworkers: 2\nclusters:\n  - {name: manager, urls: [%q]}\n  - {name: up, urls: [%q]}\nroutes:\n  - {name: all, path: /, cluster: up}\nplugins:%s%s\n",
		m.URL, up.URL, plugin("gate"), plugin("key-swap"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c, err := gateway.Load(file)
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(ctx, c, log)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	w.stop = append(w.stop, func() { cancel(); <-done })
	w.url, w.admin = "http://"+g.Addrs()[0], "http://"+g.AdminAddr()
	return w, nil
}

// request is one of the n-th consumer, to the target of its first grant.
func (w *world) request(ctx context.Context, n int) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/"+targetID(n%w.targets), nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens[n])
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

var metricLine = regexp.MustCompile(`(?m)^(keyward_gateway_[a-z_]+(?:\{plugin="[a-z-]+"\})?) (\S+)$`)

// megabytes are the gateway's metrics of memory, by name with label.
func (w *world) megabytes(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	size := map[string]float64{}
	for _, m := range metricLine.FindAllStringSubmatch(string(b), -1) {
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, err
		}
		size[m[1]] = n / (1 << 20)
	}
	return size, nil
}
