package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
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
	"time"

	"keyward/manager"
	"keyward/manager/channel"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
	"keyward/tools/gateway"
)

// How much is measured of each.
const (
	lookups     = 2000
	changeCount = 50
	wholeLimit  = 10 * time.Minute
)

// A row is what was measured at one size.
type row struct {
	Consumers   int     `json:"consumers"`
	Targets     int     `json:"targets"`
	Grants      int     `json:"grants"`
	FillS       float64 `json:"fill_s"`        // making all of them through the store
	WholeS      float64 `json:"whole_s"`       // from a new gateway's start to its first allowed request
	ChangeMS    float64 `json:"change_ms"`     // from a change to its confirmation, median
	ChangeMaxMS float64 `json:"change_max_ms"` // and the longest
	LookupUS    float64 `json:"lookup_us"`     // a whole request of a consumer not seen before, median
	GateMB      float64 `json:"gate_vm_mb"`    // memory of the largest VM, after all requests
	SwapMB      float64 `json:"key_swap_vm_mb"`
}

func measure(ctx context.Context, z size) (row, error) {
	r := row{Consumers: z.consumers, Targets: z.targets, Grants: z.consumers * min(z.grants, z.targets)}
	dir, err := os.MkdirTemp("", "keyward-scale-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	f, err := fill(ctx, filepath.Join(dir, "keyward.db"), z)
	if err != nil {
		return r, err
	}
	defer f.Close()
	r.FillS = time.Since(start).Seconds()

	w, err := begin(ctx, dir, f)
	if err != nil {
		return r, err
	}
	defer w.end()
	start = time.Now()
	for {
		status, err := w.request(ctx, 0)
		if err == nil && status == http.StatusOK {
			break
		}
		if time.Since(start) > wholeLimit || ctx.Err() != nil {
			return r, fmt.Errorf("the gateway does not follow: status %d, %w", status, errors.Join(err, ctx.Err()))
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.WholeS = time.Since(start).Seconds()
	if err := w.lookups(ctx, &r); err != nil {
		return r, err
	}
	if err := w.changes(ctx, &r); err != nil {
		return r, err
	}
	return r, w.memory(ctx, &r)
}

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

// request is one of the n-th known consumer, to the target of its first grant.
func (w *world) request(ctx context.Context, n int) (int, error) {
	id, err := strconv.Atoi(w.ids[n][1:])
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/"+targetID(id%w.targets), nil)
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

func (w *world) lookups(ctx context.Context, r *row) error {
	var took []float64
	for i := range lookups {
		start := time.Now()
		status, err := w.request(ctx, i*7919%len(w.tokens))
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("look-up: status %d, %w", status, err)
		}
		took = append(took, float64(time.Since(start).Microseconds()))
	}
	r.LookupUS = median(took)
	return nil
}

// changes suspends and resumes a consumer, and waits until the gateway confirms
// each.
func (w *world) changes(ctx context.Context, r *row) error {
	var took []float64
	states := []snapshot.State{snapshot.Suspended, snapshot.Active}
	for i := range changeCount {
		seen := w.Seen()
		start := time.Now()
		gen, err := w.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
			_, err := tx.SetConsumerState(ctx, w.ids[1], 0, states[i%2])
			return err
		})
		if err != nil {
			return err
		}
		for {
			st, err := w.Generation(ctx)
			if err != nil {
				return err
			}
			g, err := w.Gateway(ctx, "bench")
			if err != nil {
				return err
			}
			if !g.Lags(st, gen) {
				break
			}
			select {
			case <-seen:
				seen = w.Seen()
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	r.ChangeMS, r.ChangeMaxMS = median(took), slices.Max(took)
	return nil
}

var memoryLine = regexp.MustCompile(`keyward_gateway_vm_memory_bytes\{plugin="([a-z-]+)"\} (\S+)`)

func (w *world) memory(ctx context.Context, r *row) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.admin+"/metrics", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	for _, m := range memoryLine.FindAllStringSubmatch(string(b), -1) {
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return err
		}
		if m[1] == "gate" {
			r.GateMB = n / (1 << 20)
		} else {
			r.SwapMB = n / (1 << 20)
		}
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
