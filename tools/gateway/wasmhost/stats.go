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
