package wasmhost

import (
	"strings"

	"keyward/plugins/filter"
)

// buffer returns what a buffer holds for reading; nil when there is none.
func (v *vm) buffer(kind uint64) ([]byte, status) {
	g := v.effective
	switch kind {
	case bufferRequestBody, bufferResponseBody:
		view, st := v.stream()
		if st != statusOK {
			return nil, st
		}
		b, ok := view.Bytes(filter.Side(kind))
		if !ok {
			return nil, statusNotFound
		}
		return b, statusOK
	case bufferCallBody:
		if v.answer == nil {
			v.fault("reads the answer to a callout outside of its callback")
			return nil, statusBadArgument
		}
		return v.answer.Body, statusOK
	case bufferVMConfig:
		return v.m.spec.VMConfiguration, statusOK
	case bufferPluginConfig:
		if v.at != "configure" || g == nil {
			v.fault("reads its configuration outside of the callback for it")
			return nil, statusNotFound
		}
		return g.configuration, statusOK
	}
	v.fault("reads a buffer that is none")
	return nil, statusBadArgument
}

func (v *vm) proxyGetBufferBytes(a []uint64) status {
	b, st := v.buffer(a[0])
	if st != statusOK {
		return st
	}
	start, length := a[1], a[2]
	if start > uint64(len(b)) {
		v.fault("reads a buffer from behind its end")
		return statusBadArgument
	}
	b = b[start:]
	return v.giveBytes(b[:min(length, uint64(len(b)))], a[3], a[4])
}

// proxySetBufferBytes replaces, prepends or appends, as Envoy's body buffer
// does: replacing only a part is a bad argument there.
func (v *vm) proxySetBufferBytes(a []uint64) status {
	if a[0] != bufferRequestBody && a[0] != bufferResponseBody {
		v.fault("changes a buffer that can't be changed")
		return statusBadArgument
	}
	view, st := v.stream()
	if st != statusOK {
		return st
	}
	data, ok := v.read(a[3], a[4])
	if !ok {
		return statusInvalidMemoryAccess
	}
	side := filter.Side(a[0])
	old, _ := view.Bytes(side)
	start, length := a[1], a[2]
	switch {
	case start == 0 && length == 0:
		return statusOf(view.ReplaceBody(side, append(append([]byte(nil), data...), old...)))
	case start == 0 && length >= uint64(len(old)):
		return statusOf(view.ReplaceBody(side, data))
	case start >= uint64(len(old)):
		return statusOf(view.ReplaceBody(side, append(append([]byte(nil), old...), data...)))
	}
	v.fault("replaces a part of a buffer, which Envoy refuses")
	return statusBadArgument
}

func (v *vm) proxySendLocalResponse(a []uint64) status {
	view, st := v.stream()
	if st != statusOK {
		return st
	}
	detail, ok := v.read(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	body, ok := v.read(a[3], a[4])
	if !ok {
		return statusInvalidMemoryAccess
	}
	headers, st := v.readPairs(a[5], a[6])
	if st != statusOK {
		return st
	}
	return statusOf(view.Reply(filter.Reply{Status: int(a[0]), Headers: headers, Body: body, Detail: string(detail)}))
}

// Streams (proxy_stream_type_t): 0 request, 1 response; 2 and 3 are for TCP.
const streamResponse = 1

func (v *vm) proxyContinueStream(a []uint64) status {
	view, st := v.stream()
	if st != statusOK {
		return st
	}
	if a[0] > streamResponse {
		v.fault("continues a stream that is not HTTP")
		return statusBadArgument
	}
	if v.effective.stopped && filter.Side(a[0]) == filter.Request {
		v.fault("continues a request that it has stopped, which this host does not do")
		return statusBadArgument
	}
	return statusOf(view.Resume(filter.Side(a[0])))
}

// proxyCloseStream cuts both sides, whichever is named.
func (v *vm) proxyCloseStream(a []uint64) status {
	view, st := v.stream()
	if st != statusOK {
		return st
	}
	if a[0] > streamResponse {
		v.fault("closes a stream that is not HTTP")
		return statusBadArgument
	}
	view.Cut()
	return statusOK
}

func (v *vm) proxyGetProperty(a []uint64) status {
	path, ok := v.text(a[0], a[1])
	if !ok {
		return statusInvalidMemoryAccess
	}
	if path == "plugin_vm_id" {
		return v.giveString(v.m.spec.VMID, a[2], a[3])
	}
	g := v.effective
	if g == nil || g.view == nil {
		return v.pluginProperty(path, a)
	}
	var parts [4]string
	value, err := g.view.Property(split(parts[:0], path)...)
	if err != nil {
		return statusOf(err)
	}
	return v.giveBytes(value, a[2], a[3])
}

// pluginProperty answers outside of streams.
func (v *vm) pluginProperty(path string, a []uint64) status {
	if (path == "plugin_root_id" || path == "plugin_name") && v.effective != nil {
		return v.giveString(v.effective.seat.name, a[2], a[3])
	}
	return statusNotFound
}

// split appends the parts of a property path, which NUL separates.
func split(parts []string, path string) []string {
	for {
		part, rest, more := strings.Cut(path, "\x00")
		parts = append(parts, part)
		if !more {
			return parts
		}
		path = rest
	}
}

func (v *vm) proxySetProperty(a []uint64) status {
	view, st := v.stream()
	if st != statusOK {
		return st
	}
	name, value, ok := v.nameValue(a)
	if !ok {
		return statusInvalidMemoryAccess
	}
	return statusOf(view.SetProperty(name, []byte(value)))
}
