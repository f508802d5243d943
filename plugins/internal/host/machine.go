package host

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"

	"keyward/plugins/filter"
)

// machine is the VM as a plugin's filter.Host.
type machine struct {
	root   uint32        // the context whose ticks count
	period time.Duration // of the ticks; 0: none
}

var (
	_ filter.Host   = (*machine)(nil)
	_ filter.Sharer = (*machine)(nil)
	_ filter.Caller = (*machine)(nil)
	_ filter.Ticker = (*machine)(nil)
)

func (*machine) Log(level filter.Level, line string) {
	switch level {
	case filter.Debug:
		proxywasm.LogDebug(line)
	case filter.Info:
		proxywasm.LogInfo(line)
	case filter.Warn:
		proxywasm.LogWarn(line)
	default:
		proxywasm.LogError(line)
	}
}

func (*machine) Now() int64 { return time.Now().UnixNano() }

func (*machine) Getenv(name string) string { return os.Getenv(name) }

func (*machine) Shared(key string) ([]byte, uint32, error) {
	value, cas, err := proxywasm.GetSharedData(key)
	if err != nil {
		_, err = found[[]byte](nil, err)
		return nil, 0, err
	}
	return value, cas, nil
}

func (*machine) Share(key string, value []byte, version uint32) error {
	err := proxywasm.SetSharedData(key, value, version)
	if errors.Is(err, types.ErrorStatusCasMismatch) {
		return filter.ErrChanged
	}
	return err
}

func (m *machine) SetTick(period time.Duration) error {
	m.period = period
	return proxywasm.SetTickPeriodMilliSeconds(uint32(period.Milliseconds()))
}

func (m *machine) Call(c filter.Call, limit int, done func(filter.Answer)) error {
	_, err := proxywasm.DispatchHttpCall(c.Cluster, c.Headers, c.Body, nil, uint32(c.Timeout.Milliseconds()),
		func(_, size, _ int) {
			defer func() {
				if recover() != nil {
					m.Log(filter.Error, "panic while reading the answer to a call")
				}
			}()
			done(answer(size, limit))
		})
	return err
}

// answer reads the answer to the call whose callback runs.
func answer(size, limit int) (a filter.Answer) {
	headers, err := proxywasm.GetHttpCallResponseHeaders()
	if err != nil || size > limit {
		return filter.Answer{}
	}
	for _, h := range headers {
		if h[0] == ":status" {
			if a.Status, err = strconv.Atoi(h[1]); err != nil {
				return filter.Answer{}
			}
		}
	}
	a.Headers = headers
	if size > 0 {
		if a.Body, err = proxywasm.GetHttpCallResponseBody(0, size); err != nil {
			return filter.Answer{}
		}
	}
	return a
}
