package wasmhost

import (
	"slices"
	"sync"
)

// A MetricKind is how a metric counts (proxy_metric_type_t).
type MetricKind uint32

// The kinds.
const (
	Counter MetricKind = iota
	Gauge
	Histogram
)

// A Metric is the state of one metric that plugins defined. All VMs add to the
// same metric of a name.
type Metric struct {
	Name  string
	Kind  MetricKind
	Value int64  // of a counter or gauge; the sum of a histogram's values
	Count uint64 // of a histogram's values
}

// maxMetrics bounds what plugins may define: a metric named after what a client
// sent would grow for ever.
const maxMetrics = 10_000

type metrics struct {
	mu  sync.Mutex
	all []Metric // by ID
	ids map[string]uint32
}

func (m *metrics) define(kind MetricKind, name string) (id uint32, st status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, ok := m.ids[name]; ok {
		if m.all[id].Kind != kind {
			return 0, statusBadArgument
		}
		return id, statusOK
	}
	if kind > Histogram || name == "" || len(m.all) == maxMetrics {
		return 0, statusBadArgument
	}
	if m.ids == nil {
		m.ids = map[string]uint32{}
	}
	id = uint32(len(m.all))
	m.ids[name] = id
	m.all = append(m.all, Metric{Name: name, Kind: kind})
	return id, statusOK
}

// with calls f on a metric under the lock.
func (m *metrics) with(id uint32, f func(x *Metric) status) status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if uint64(id) >= uint64(len(m.all)) {
		return statusNotFound
	}
	return f(&m.all[id])
}

func (m *metrics) increment(id uint32, by int64) status {
	return m.with(id, func(x *Metric) status {
		if x.Kind == Histogram || x.Kind == Counter && by < 0 {
			return statusBadArgument
		}
		x.Value += by
		return statusOK
	})
}

func (m *metrics) record(id uint32, value uint64) status {
	return m.with(id, func(x *Metric) status {
		switch x.Kind {
		case Gauge:
			x.Value = int64(value)
		case Histogram:
			x.Count++
			fallthrough
		case Counter:
			x.Value += int64(value)
		}
		return statusOK
	})
}

func (m *metrics) get(id uint32) (value uint64, st status) {
	st = m.with(id, func(x *Metric) status {
		if x.Kind == Histogram {
			return statusBadArgument
		}
		value = uint64(x.Value)
		return statusOK
	})
	return value, st
}

func (m *metrics) snapshot() []Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}
