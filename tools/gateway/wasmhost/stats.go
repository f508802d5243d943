package wasmhost

import "sync/atomic"

type stats struct{ traps, reloads atomic.Uint64 }

// Stats count what befell VMs since the start.
type Stats struct {
	Traps   uint64 // VMs that died
	Reloads uint64 // VMs that were replaced
}

// Stats returns the counts so far.
func (h *Host) Stats() Stats {
	return Stats{Traps: h.stats.traps.Load(), Reloads: h.stats.reloads.Load()}
}

// Shared is the size of what VMs share, keys and values, of all of them together,
// in bytes.
func (h *Host) Shared() int64 {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	return h.shared.bytes
}

// Memory is the size of the largest VM of each plugin, in bytes, as of its last
// callback. A VM never gives memory back.
func (h *Host) Memory() map[string]int64 {
	largest := map[string]int64{}
	for _, w := range h.workers {
		for _, s := range w.seats { // fixed once the host is made
			largest[s.name] = max(largest[s.name], s.m.memory.Load())
		}
	}
	return largest
}
