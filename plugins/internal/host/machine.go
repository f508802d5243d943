package host

import (
	"strconv"
	"syscall"
	"time"

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

// Log counts levels as the host does, from trace.
func (*machine) Log(level filter.Level, line string) {
	t, n := text(line)
	proxyLog(uint32(level)+1, t, n)
}

// now is where the host puts the time; see [slot].
var now uint64

func (*machine) Now() int64 {
	const realtime, precision = 0, 1000
	if clockTimeGet(realtime, precision, &now) != 0 {
		return time.Now().UnixNano()
	}
	return int64(now)
}

func (*machine) Getenv(name string) string {
	value, _ := syscall.Getenv(name)
	return value
}

func (*machine) Shared(key string) ([]byte, uint32, error) {
	k, n := text(key)
	expect(nil)
	value, err := returned(proxyGetSharedData(k, n, &slot.data, &slot.size, &slot.version))
	return value, slot.version, err
}

func (*machine) Share(key string, value []byte, version uint32) error {
	k, n := text(key)
	v, vn := first(value)
	return proxySetSharedData(k, n, v, vn, version).err()
}

func (m *machine) SetTick(period time.Duration) error {
	m.period = period
	return proxySetTickPeriod(uint32(period.Milliseconds())).err()
}

// calls are those that have no answer yet, by the host's numbers.
var calls = map[uint32]call{}

type call struct {
	limit int // of the answer's body
	done  func(filter.Answer)
}

// Call's done is called through [answered].
func (m *machine) Call(c filter.Call, limit int, done func(filter.Answer)) error {
	cluster, cn := text(c.Cluster)
	h, hn := first(appendPairs(nil, c.Headers))
	b, bn := first(c.Body)
	t, tn := first(appendPairs(nil, nil))
	var token uint32
	if err := proxyHTTPCall(cluster, cn, h, hn, b, bn, t, tn, uint32(c.Timeout.Milliseconds()), &token).err(); err != nil {
		return err
	}
	calls[token] = call{limit, done}
	return nil
}

// answered ends a call; size is that of the answer's body. A panic while the
// answer is read ends nothing but that.
func (m *machine) answered(token uint32, size int) {
	c, ok := calls[token]
	delete(calls, token)
	if !ok {
		return
	}
	defer func() {
		if recover() != nil {
			m.Log(filter.Error, "panic while reading the answer to a call")
		}
	}()
	c.done(answer(size, c.limit))
}

// answer reads the answer to the call whose callback runs.
func answer(size, limit int) (a filter.Answer) {
	list, err := headers(callHeaders, nil)
	if err != nil || size > limit {
		return filter.Answer{}
	}
	for _, h := range list {
		if h[0] == ":status" {
			if a.Status, err = strconv.Atoi(h[1]); err != nil {
				return filter.Answer{}
			}
		}
	}
	a.Headers = list
	if size > 0 {
		if a.Body, err = buffer(callBody, size, nil); err != nil {
			return filter.Answer{}
		}
	}
	return a
}
