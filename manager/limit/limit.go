// Package limit slows down who tries tokens. The API and the gateways' channel
// share it.
package limit

import (
	"crypto/sha256"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Failures with tokens that one network may make.
const (
	failureBurst = 20
	failureEvery = 3 * time.Second // one more
	maxNetworks  = 10_000          // that are remembered
	maxKnown     = 1_000           // tokens that were right
)

// A Limiter counts failures by network, as a bucket that fills with time. It may
// be used by several goroutines at once.
type Limiter struct {
	mu    sync.Mutex
	debts map[string]debt
	goods map[[sha256.Size]byte]struct{}
}

type debt struct {
	failures int
	at       time.Time // up to when failures were forgiven
}

// New returns a limiter that knows of no failure.
func New() *Limiter {
	return &Limiter{debts: map[string]debt{}, goods: map[[sha256.Size]byte]struct{}{}}
}

// forgive takes off the failures that time has made good.
func (d debt) forgive(now time.Time) debt {
	n := int(now.Sub(d.at) / failureEvery)
	if n <= 0 {
		return d
	}
	return debt{failures: max(0, d.failures-n), at: d.at.Add(time.Duration(n) * failureEvery)}
}

// Wait is how long a network must wait until it may fail again; 0: it may now.
func (l *Limiter) Wait(network string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.debts[network].forgive(now)
	if d.failures < failureBurst {
		return 0
	}
	return d.at.Add(failureEvery).Sub(now)
}

// Fail counts a failure of a network, and forgets that its token was right.
func (l *Limiter) Fail(network, secret string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.goods, sha256.Sum256([]byte(secret)))
	if len(l.debts) >= maxNetworks {
		l.clearLocked(now)
	}
	d, ok := l.debts[network]
	if !ok {
		d.at = now
	}
	d = d.forgive(now)
	d.failures++
	l.debts[network] = d
}

// clearLocked forgets networks without debt, or all of them if none is.
func (l *Limiter) clearLocked(now time.Time) {
	for network, d := range l.debts {
		if d.forgive(now).failures == 0 {
			delete(l.debts, network)
		}
	}
	if len(l.debts) >= maxNetworks {
		clear(l.debts)
	}
}

// Succeed remembers that a token was right.
func (l *Limiter) Succeed(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.goods) >= maxKnown {
		clear(l.goods)
	}
	l.goods[sha256.Sum256([]byte(secret))] = struct{}{}
}

// Known reports whether a token was right when it was last seen.
func (l *Limiter) Known(secret string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.goods[sha256.Sum256([]byte(secret))]
	return ok
}

// Network is the address of a remote, or for IPv6 its /64, which one host can
// have all of.
func Network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return p.String()
}
