package wasmhost

import (
	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// stream returns the view of the stream that the call is about.
func (v *vm) stream() (*chain.View, status) {
	if v.effective == nil || v.effective.view == nil {
		v.fault("makes a call about a stream outside of one")
		return nil, statusBadArgument
	}
	return v.effective.view, statusOK
}

// list returns a header map for reading.
func (v *vm) list(kind uint64) (*chain.Headers, status) {
	if kind == mapCallHeaders || kind == mapCallTrailers {
		return v.callList(kind)
	}
	side, ok := mapSides[uint32(kind)]
	if !ok {
		v.fault("reads a header map that is none")
		return nil, statusBadArgument
	}
	view, st := v.stream()
	if st != statusOK {
		return nil, st
	}
	m, err := view.Readable(side)
	return m, statusOf(err)
}

// callList returns a header map of the answer to a callout.
func (v *vm) callList(kind uint64) (*chain.Headers, status) {
	if v.answer == nil {
		v.fault("reads the answer to a callout outside of its callback")
		return nil, statusBadArgument
	}
	if kind == mapCallHeaders {
		return chain.NewHeaders(v.answer.Headers...), statusOK
	}
	return chain.NewHeaders(v.answer.Trailers...), statusOK
}

// editable returns the side of a header map for a change.
func (v *vm) editable(kind uint64) (*chain.View, filter.Side, status) {
	side, ok := mapSides[uint32(kind)]
	if !ok {
		v.fault("changes a header map that can't be changed")
		return nil, 0, statusBadArgument
	}
	view, st := v.stream()
	return view, side, st
}

func (v *vm) proxyGetHeaderMapValue(a []uint64) status {
	m, st := v.list(a[0])
	if st != statusOK {
		return st
	}
	name, ok := v.text(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	value, found := m.Get(name)
	if !found {
		return statusNotFound
	}
	return v.giveString(value, a[3], a[4])
}

func (v *vm) proxyGetHeaderMapPairs(a []uint64) status {
	m, st := v.list(a[0])
	if st != statusOK {
		return st
	}
	list := m.Pairs()
	if len(list) == 0 {
		return v.giveBytes(nil, a[1], a[2])
	}
	b, st := v.give(pairsSize(list), a[1], a[2])
	if st == statusOK {
		putPairs(b, list)
	}
	return st
}

// nameValue reads a header from the guest, as copies.
func (v *vm) nameValue(a []uint64) (name, value string, ok bool) {
	n, ok := v.read(a[0], a[1])
	if !ok {
		return "", "", false
	}
	b, ok := v.read(a[2], a[3])
	return string(n), string(b), ok
}

func (v *vm) proxyAddHeaderMapValue(a []uint64) status {
	return v.putHeader(a, (*chain.View).AddHeader)
}

func (v *vm) proxyReplaceHeaderMapValue(a []uint64) status {
	return v.putHeader(a, (*chain.View).SetHeader)
}

func (v *vm) putHeader(a []uint64, put func(*chain.View, filter.Side, string, string) error) status {
	view, side, st := v.editable(a[0])
	if st != statusOK {
		return st
	}
	name, value, ok := v.nameValue(a[1:])
	if !ok {
		return statusInvalidMemoryAccess
	}
	return statusOf(put(view, side, name, value))
}

func (v *vm) proxyRemoveHeaderMapValue(a []uint64) status {
	view, side, st := v.editable(a[0])
	if st != statusOK {
		return st
	}
	name, ok := v.text(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	return statusOf(view.RemoveHeader(side, name))
}

func (v *vm) proxySetHeaderMapPairs(a []uint64) status {
	view, side, st := v.editable(a[0])
	if st != statusOK {
		return st
	}
	list, st := v.readPairs(a[1], a[2])
	if st != statusOK {
		return st
	}
	return statusOf(view.SetHeaders(side, list))
}

// readPairs reads a header map from the guest.
func (v *vm) readPairs(ptr, size uint64) ([][2]string, status) {
	b, ok := v.read(ptr, size)
	if !ok {
		return nil, statusInvalidMemoryAccess
	}
	list, err := getPairs(b)
	if err != nil {
		v.fault("passes a malformed header map")
		return nil, statusBadArgument
	}
	return list, statusOK
}
