package host

import (
	"math"

	"keyward/plugins/filter"
)

// A stream is one HTTP exchange, as the host knows it by its number.
type stream struct {
	id      uint32
	machine *machine
	handler filter.Handler
}

var (
	_ filter.Stream  = (*stream)(nil)
	_ filter.Cutter  = (*stream)(nil)
	_ filter.Resumer = (*stream)(nil)
)

// Hosts know a stream's header maps by the numbers of its sides in
// [filter.Side], but for the two in the middle.
func mapOf(side filter.Side) uint32 {
	switch side {
	case filter.Request:
		return 0
	case filter.RequestTrailers:
		return 1
	case filter.Response:
		return 2
	default:
		return 3
	}
}

func bufferOf(side filter.Side) uint32 {
	if side == filter.Request {
		return 0
	}
	return 1
}

// scratchOf is the memory for what comes of a side; nil for what a plugin may
// keep, see [filter.Stream].
func scratchOf(side filter.Side) *scratch {
	if side == filter.Request && bodies {
		return nil
	}
	return &brief
}

func (*stream) Headers(side filter.Side) ([][2]string, error) {
	return headers(mapOf(side), scratchOf(side))
}

func headers(kind uint32, in *scratch) ([][2]string, error) {
	expect(in)
	b, err := returned(proxyGetHeaderMapPairs(kind, &slot.data, &slot.size))
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, filter.ErrNotFound
	}
	return readPairs(b)
}

func (*stream) SetHeader(side filter.Side, name, value string) error {
	n, nn := text(name)
	v, vn := text(value)
	return proxyReplaceHeaderMapValue(mapOf(side), n, nn, v, vn).err()
}

func (*stream) AddHeader(side filter.Side, name, value string) error {
	n, nn := text(name)
	v, vn := text(value)
	return proxyAddHeaderMapValue(mapOf(side), n, nn, v, vn).err()
}

func (*stream) RemoveHeader(side filter.Side, name string) error {
	n, nn := text(name)
	return proxyRemoveHeaderMapValue(mapOf(side), n, nn).err()
}

func (*stream) Body(side filter.Side, limit int) ([]byte, error) {
	return buffer(bufferOf(side), limit, scratchOf(side))
}

func buffer(kind uint32, limit int, in *scratch) ([]byte, error) {
	expect(in)
	b, err := returned(proxyGetBufferBytes(kind, 0, uint32(limit), &slot.data, &slot.size))
	if err == nil && b == nil {
		err = filter.ErrNotFound
	}
	if err == nil && len(b) > limit {
		err = errHost
	}
	return b, err
}

func (*stream) ReplaceBody(side filter.Side, body []byte) error {
	b, n := first(body)
	return proxySetBufferBytes(bufferOf(side), 0, math.MaxInt32, b, n).err()
}

// Property reads the names of the route and the cluster below "xds" first: Envoy
// has them there alone, older forks of Higress at the top.
func (*stream) Property(path ...string) ([]byte, error) {
	if len(path) != 1 {
		return property(join(path), &brief)
	}
	switch path[0] {
	case "route_name":
		if b, err := property("xds\x00route_name", &brief); err == nil {
			return b, nil
		}
	case "cluster_name":
		if b, err := property("xds\x00cluster_name", &brief); err == nil {
			return b, nil
		}
	}
	return property(path[0], &brief)
}

// property reads a property; the elements of its path are separated by zero bytes.
func property(path string, in *scratch) ([]byte, error) {
	p, n := text(path)
	expect(in)
	return returned(proxyGetProperty(p, n, &slot.data, &slot.size))
}

func join(path []string) string {
	var b []byte
	for i, element := range path {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, element...)
	}
	return string(b)
}

func (*stream) SetProperty(name string, value []byte) error {
	p, n := text(name)
	v, vn := first(value)
	return proxySetProperty(p, n, v, vn).err()
}

func (*stream) Reply(r filter.Reply) error {
	const notGRPC = -1
	d, dn := text(r.Detail)
	b, bn := first(r.Body)
	h, hn := first(appendPairs(nil, r.Headers))
	return proxySendLocalResponse(uint32(r.Status), d, dn, b, bn, h, hn, notGRPC).err()
}

// Cut replies as any stream does: a host resets one whose response has begun.
// Then the context whose tick runs is the current one again.
func (s *stream) Cut(r filter.Reply) error {
	return s.effective(func() error { return s.Reply(r) })
}

// Resume is for outside of the stream's own callbacks, like Cut. Hosts number
// the two sides of a stream as [filter.Side] does.
func (s *stream) Resume(side filter.Side) error {
	return s.effective(func() error { return proxyContinueStream(uint32(side)).err() })
}

// effective calls the host for s.
func (s *stream) effective(call func() error) error {
	if err := proxySetEffectiveContext(s.id).err(); err != nil {
		return err
	}
	err := call()
	if back := proxySetEffectiveContext(s.machine.root).err(); err == nil {
		err = back
	}
	return err
}
