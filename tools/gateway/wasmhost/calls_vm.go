package wasmhost

import (
	"encoding/binary"
	"time"

	"keyward/plugins/filter"
)

// Log levels (proxy_log_level_t).
const (
	logTrace    = 0
	logDebug    = 1
	logInfo     = 2
	logWarn     = 3
	logCritical = 5
)

// maxLogLine bounds one line of a plugin's log.
const maxLogLine = 8 << 10

func (v *vm) proxyLog(a []uint64) status {
	b, ok := v.read(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	level := filter.Error
	switch {
	case a[0] > logCritical:
		v.fault("logs at a level that is none")
		return statusBadArgument
	case a[0] <= logDebug:
		level = filter.Debug
	case a[0] == logInfo:
		level = filter.Info
	case a[0] == logWarn:
		level = filter.Warn
	}
	h := v.m.w.h
	if h.opt.Log == nil || level < h.opt.LogLevel {
		return statusOK
	}
	name := v.m.spec.Name
	if v.effective != nil {
		name = v.effective.seat.name
	}
	h.log(name, level, string(b[:min(len(b), maxLogLine)]))
	return statusOK
}

// level is the host's log level in the ABI's numbers.
func (v *vm) level() uint32 { return uint32(v.m.w.h.opt.LogLevel) + logDebug }

func (v *vm) proxyGetLogLevel(a []uint64) status { return v.put32(a[0], uint64(v.level())) }

func (v *vm) proxyGetCurrentTime(a []uint64) status {
	return v.put64(a[0], uint64(time.Now().UnixNano()))
}

func (v *vm) proxySetTickPeriod(a []uint64) status {
	g := v.effective
	if g == nil || g.view != nil {
		v.fault("sets a tick period outside of a plugin context")
		return statusBadArgument
	}
	g.setTick(time.Duration(a[0]) * time.Millisecond)
	return statusOK
}

func (v *vm) proxySetEffectiveContext(a []uint64) status {
	g := v.guests[uint32(a[0])]
	if g == nil || g.over {
		v.fault("chooses a context that is not there")
		return statusBadArgument
	}
	v.effective = g
	if g.view != nil && !g.view.Running() {
		g.view.Begin()
		v.begun = append(v.begun, g)
	}
	return statusOK
}

func (v *vm) proxyDone([]uint64) status {
	v.fault("tells that it is done, for which nothing waits")
	return statusNotFound
}

// proxyCallForeignFunction knows the one function that Higress' own SDK calls.
func (v *vm) proxyCallForeignFunction(a []uint64) status {
	name, ok := v.text(a[0], a[1])
	if !ok {
		return statusInvalidMemoryAccess
	}
	if name != "get_log_level" || v.m.w.h.opt.Persona != Higress {
		return statusNotFound
	}
	return v.giveBytes(binary.LittleEndian.AppendUint32(nil, v.level()), a[4], a[5])
}

func (v *vm) proxyDefineMetric(a []uint64) status {
	b, ok := v.read(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	id, st := v.m.w.h.metrics.define(MetricKind(a[0]), string(b))
	if st != statusOK {
		v.fault("defines a metric that can't be, or too many")
		return st
	}
	return v.put32(a[3], uint64(id))
}

func (v *vm) proxyIncrementMetric(a []uint64) status {
	return v.checkMetric(v.m.w.h.metrics.increment(uint32(a[0]), int64(a[1])))
}

func (v *vm) proxyRecordMetric(a []uint64) status {
	return v.checkMetric(v.m.w.h.metrics.record(uint32(a[0]), a[1]))
}

func (v *vm) proxyGetMetric(a []uint64) status {
	value, st := v.m.w.h.metrics.get(uint32(a[0]))
	if v.checkMetric(st) != statusOK {
		return st
	}
	return v.put64(a[1], value)
}

func (v *vm) checkMetric(st status) status {
	if st != statusOK {
		v.fault("uses a metric that is not there, or in a way that its kind does not know")
	}
	return st
}

func (v *vm) proxyGetSharedData(a []uint64) status {
	key, ok := v.text(a[0], a[1])
	if !ok {
		return statusInvalidMemoryAccess
	}
	value, found := v.m.w.h.shared.get(v.m.spec.VMID, key)
	if !found {
		return statusNotFound
	}
	if st := v.giveBytes(value.value, a[2], a[3]); st != statusOK {
		return st
	}
	return v.put32(a[4], uint64(value.cas))
}

func (v *vm) proxySetSharedData(a []uint64) status {
	key, ok := v.read(a[0], a[1])
	if !ok {
		return statusInvalidMemoryAccess
	}
	value, ok := v.read(a[2], a[3])
	if !ok {
		return statusInvalidMemoryAccess
	}
	return v.m.w.h.shared.set(v.m.spec.VMID, string(key), value, uint32(a[4]))
}
