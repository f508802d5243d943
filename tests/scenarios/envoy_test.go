package scenarios_test

import (
	"testing"

	"keyward/tests/testenv"
)

// realEnvoy is Envoy with deploy/envoy/envoy.yaml and the plugins in it.
type realEnvoy struct {
	*testenv.Envoy
	w   *World
	rec *Recorder
}

func newEnvoy(t *testing.T, w *World, rec *Recorder) gateway {
	t.Helper()
	upstreams := map[string]string{}
	for _, cluster := range clusters {
		upstreams[cluster] = rec.listen(t, cluster)
	}
	e := testenv.StartEnvoy(t, testenv.EnvoyOptions{Keys: w.privateKeys(t, "base"), Upstreams: upstreams})
	return &realEnvoy{e, w, rec}
}

func (e *realEnvoy) use(t *testing.T, snapshot string) {
	t.Helper()
	switch snapshot {
	case "none": // as it was started
	case "down":
		e.rec.close()
		fallthrough
	default:
		e.Configure(t, e.w.snapshot(t, snapshot))
	}
}

func (e *realEnvoy) play(protocol string, r request) (*Exchange, error) {
	return exchange(e.Addr, protocol, r)
}

func (e *realEnvoy) logs() string { return e.Log() }
