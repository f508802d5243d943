package live

import (
	"encoding/binary"
	"time"
)

const (
	// leaseTime is how long a lease holds without being renewed: as long as it
	// takes until another VM polls in place of one that died.
	leaseTime = 3 * time.Second
	// leaseLook is how often who has no lease looks whether it is free.
	leaseLook = 250 * time.Millisecond
)

// A lease makes one of many VMs the one that polls. Two may hold it for a
// moment; a [writer] sees to it that this does no harm.
type lease struct {
	space *space
	owner uint64 // by lot
	until int64  // holds it until then, Unix nanoseconds; 0: it doesn't
	look  int64  // not to look before then
}

// hold reports whether the lease is held, after taking or renewing it if it can
// be.
func (l *lease) hold(now int64) bool {
	if l.until > now+int64(leaseTime) || l.look > now+int64(leaseLook) {
		l.until, l.look = 0, 0 // the clock was put back: others have not waited for it
	}
	if now < l.look && now < l.until-int64(leaseTime)/2 {
		return true
	}
	if l.until == 0 && now < l.look {
		return false
	}
	l.look = now + int64(leaseLook)
	value, cas, err := l.space.get(kindLease)
	if err == nil && len(value) == 16 {
		until, owner := int64(binary.BigEndian.Uint64(value)), binary.BigEndian.Uint64(value[8:])
		// A lease far ahead was made before the clock was put back.
		if owner != l.owner && until > now && until < now+2*int64(leaseTime) {
			l.until = 0
			return false
		}
	}
	if !l.put(now+int64(leaseTime), cas) {
		l.until = 0
		return false
	}
	l.until = now + int64(leaseTime)
	return true
}

// release lets another VM take the lease at once.
func (l *lease) release() {
	if l.until == 0 {
		return
	}
	l.until = 0
	value, cas, err := l.space.get(kindLease)
	if err == nil && len(value) == 16 && binary.BigEndian.Uint64(value[8:]) == l.owner {
		l.put(0, cas)
	}
}

func (l *lease) put(until int64, cas uint32) bool {
	return l.space.put(kindLease, cas, func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(until)), l.owner)
	}) == nil
}
