package gateway

import (
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/tools/gateway/wasmhost"
)

// metrics are what /metrics shows of the gateway itself. No label takes a value
// from a client.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	open     prometheus.Gauge
	faults   *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	loaded   *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_gateway_requests_total", Help: "Requests by route and class of status; 0 when the client got none.",
		}, []string{"route", "class"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "keyward_gateway_request_seconds", Help: "Time from a request's headers to the end of its response.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyward_gateway_open_requests", Help: "Requests under way.",
		}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_gateway_plugin_faults_total", Help: "Misuses of the host by plugins; each denied its request.",
		}, []string{"plugin"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_gateway_snapshot_reloads_total", Help: "Changed snapshot files by what became of them.",
		}, []string{"plugin", "result"}),
		loaded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_gateway_snapshot_loaded_seconds", Help: "When the snapshot in force was loaded, Unix time.",
		}, []string{"plugin"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.open, m.faults, m.reloads, m.loaded)
	return m
}

func (m *metrics) done(e *exchange) {
	name := ""
	if e.route != nil {
		name = e.route.Name
	}
	m.requests.WithLabelValues(name, strconv.Itoa(e.status/100)).Inc()
	m.seconds.Observe(time.Since(e.started).Seconds())
}

// A pluginCollector shows what plugins count themselves, under the prefix that
// Higress gives such metrics.
type pluginCollector struct{ host *wasmhost.Host }

var (
	trapsDesc   = prometheus.NewDesc("keyward_gateway_vm_traps_total", "VMs that died.", nil, nil)
	reloadsDesc = prometheus.NewDesc("keyward_gateway_vm_reloads_total", "VMs that were replaced.", nil, nil)
	memoryDesc  = prometheus.NewDesc("keyward_gateway_vm_memory_bytes", "Memory of a plugin's largest VM.", []string{"plugin"}, nil)
	sharedDesc  = prometheus.NewDesc("keyward_gateway_shared_data_bytes", "Keys and values that VMs share: of the live channel, mostly.", nil, nil)
	notInName   = regexp.MustCompile(`[^a-zA-Z0-9_:]`)
)

// Describe implements prometheus.Collector: plugins define metrics at any time,
// so it describes none.
func (c pluginCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c pluginCollector) Collect(out chan<- prometheus.Metric) {
	stats := c.host.Stats()
	out <- prometheus.MustNewConstMetric(trapsDesc, prometheus.CounterValue, float64(stats.Traps))
	out <- prometheus.MustNewConstMetric(reloadsDesc, prometheus.CounterValue, float64(stats.Reloads))
	out <- prometheus.MustNewConstMetric(sharedDesc, prometheus.GaugeValue, float64(c.host.Shared()))
	for plugin, size := range c.host.Memory() {
		out <- prometheus.MustNewConstMetric(memoryDesc, prometheus.GaugeValue, float64(size), plugin)
	}
	for _, m := range c.host.Metrics() {
		desc := prometheus.NewDesc("wasmcustom_"+notInName.ReplaceAllString(m.Name, "_"), "Defined by a plugin.", nil, nil)
		switch m.Kind {
		case wasmhost.Counter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(m.Value))
		case wasmhost.Gauge:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(m.Value))
		case wasmhost.Histogram:
			out <- prometheus.MustNewConstSummary(desc, m.Count, float64(m.Value), nil)
		}
	}
}
