package gateway

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a snapshot file must have been left alone: who writes in
// place does so in several steps.
const settle = 100 * time.Millisecond

// A watcher takes over snapshot files that change.
type watcher struct {
	g     *Gateway
	notes *fsnotify.Watcher
	seen  map[string][32]byte // by plugin: the file that was tried last
}

// watch watches the folders of all snapshot files: a file that is renamed into
// place, or a link that is turned, is another file.
func (g *Gateway) watch() (*watcher, error) {
	notes, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{g: g, notes: notes, seen: map[string][32]byte{}}
	for _, p := range g.config.Plugins {
		if p.Snapshot == "" {
			continue
		}
		if err := notes.Add(filepath.Dir(g.config.path(p.Snapshot))); err != nil {
			_ = notes.Close()
			return nil, err
		}
	}
	return w, nil
}

func (w *watcher) run(ctx context.Context) {
	defer w.notes.Close()
	w.look() // what changed between the start and the watch
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.notes.Events:
			if !ok {
				return
			}
			timer.Reset(settle)
		case err, ok := <-w.notes.Errors:
			if !ok {
				return
			}
			w.g.log.Warn("watching snapshot files", "error", err)
			timer.Reset(settle)
		case <-timer.C:
			w.look()
		}
	}
}

// look takes over every snapshot that is new. A bad one is told of once, and
// the last good one stays in force.
func (w *watcher) look() {
	for i := range w.g.config.Plugins {
		if p := &w.g.config.Plugins[i]; p.Snapshot != "" {
			w.lookAt(p)
		}
	}
}

func (w *watcher) lookAt(p *Plugin) {
	g, plugin, file := w.g, p.Name, w.g.config.path(p.Snapshot)
	configuration, err := g.config.configuration(p)
	sum := sha256.Sum256(configuration)
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	before, known := w.seen[plugin]
	if known && before == sum {
		return
	}
	w.seen[plugin] = sum
	if err == nil && !known && sum == g.started[plugin] {
		return
	}
	if err == nil {
		err = g.host.Configure(plugin, configuration)
	}
	if err != nil {
		g.metrics.reloads.WithLabelValues(plugin, "refused").Inc()
		g.log.Error("snapshot refused, the last good one stays in force", "plugin", plugin, "error", err.Error())
		return
	}
	g.metrics.reloads.WithLabelValues(plugin, "taken").Inc()
	g.metrics.loaded.WithLabelValues(plugin).SetToCurrentTime()
	g.log.Info("snapshot in force", "plugin", plugin, "file", file)
}
