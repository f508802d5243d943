// Package swap puts the real key into a request that gate has allowed, and takes
// it out of the answer should the upstream echo it.
//
// It decides nothing and never reads a request body. It acts in the headers
// callback: gate stands before it in the filter chain and holds a request's
// headers until its verdict, and a host shows headers to a later filter only
// once every earlier one has let them go. So when the callback runs, the verdict
// is there; a request without one did not pass gate and is refused.
//
// # Failure
//
// Every error refuses the request, with a reason code; an answer that can't be
// searched for the key is refused or cut.
package swap

import (
	"errors"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/key-swap/redact"
	"keyward/plugins/live"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// EnvKeys is the name of the environment variable with the gateway's private
// keys in text form, separated by spaces. All of them are active: an old one
// stays until nothing is sealed to it any more.
const EnvKeys = "KEYWARD_GATEWAY_KEYS"

// maxOpened bounds how many credentials are kept open; beyond it those in no
// use are closed, which costs a millisecond for each that is used again.
const maxOpened = 1024

// sweepEvery is how long a credential may stay open that is no longer there.
const sweepEvery = int64(time.Second)

// New returns the plugin.
func New(h filter.Host) filter.Plugin { return &plugin{host: h, opened: map[string]*opened{}} }

type plugin struct {
	host   filter.Host
	source *live.Source // nil: no configuration yet, which refuses everything
	keys   []*unseal.Key
	opened map[string]*opened // by credential ID; opening costs a millisecond

	spare filter.Pool[handler]

	swept live.Entries // that opened was held against last
	next  int64        // not to do so before then, Unix nanoseconds
}

var _ filter.Background = (*plugin)(nil)

// Configure takes an object with the member "snapshot", "manager", or both; see
// package live. Credentials that it leaves unchanged stay open.
func (p *plugin) Configure(config []byte) error {
	source, err := live.NewSource(p.host, config, snapshot.ForKeySwap, 0)
	if err != nil {
		return err
	}
	var keys []*unseal.Key
	if text := p.host.Getenv(EnvKeys); text != "" {
		if keys, err = unseal.ParseKeys(text); err != nil {
			return errors.New(EnvKeys + ": " + err.Error())
		}
	} else {
		p.host.Log(filter.Warn, "key-swap: "+EnvKeys+" is not set: no credential can be opened")
	}
	p.source, p.keys = source, keys
	for id, o := range p.opened {
		if o.err != nil {
			p.drop(id, o)
		}
	}
	p.sweep(p.host.Now())
	return nil
}

// inForce is what a request is held against now.
func (p *plugin) inForce() (live.Entries, *refused) {
	if p.source == nil {
		return nil, &refused{policies.NoSnapshot, "no configuration"}
	}
	entries, reason := p.source.Entries(p.host.Now())
	if reason != policies.ReasonNone {
		return nil, &refused{reason, "nothing is in force"}
	}
	return entries, nil
}

// Tick follows the Manager.
func (p *plugin) Tick() {
	if p.source == nil {
		return
	}
	p.source.Tick()
	if now := p.host.Now(); now >= p.next {
		p.next = now + sweepEvery
		p.sweep(now)
	}
}

// Release ends following the Manager in this VM.
func (p *plugin) Release() {
	if p.source != nil {
		p.source.Release()
	}
}

// sweep closes credentials that are not in force any more.
func (p *plugin) sweep(now int64) {
	entries, _ := p.source.Entries(now)
	if entries == nil || entries == p.swept {
		return
	}
	p.swept = entries
	for id, o := range p.opened {
		if c, ok := entries.Credential(id); !ok || !o.holds(c) {
			p.drop(id, o)
		}
	}
}

func (p *plugin) drop(id string, o *opened) {
	delete(p.opened, id)
	o.retire()
}

// open returns the credential in clear, from the cache if it is there. A
// credential that does not open is not tried again.
func (p *plugin) open(c *snapshot.Credential) *opened {
	if o, ok := p.opened[c.ID]; ok {
		if o.holds(c) {
			return o
		}
		p.drop(c.ID, o)
	}
	if len(p.opened) >= maxOpened {
		for id, o := range p.opened {
			p.drop(id, o) // those in use stay until their streams are done
		}
	}
	o := &opened{credential: c}
	if o.secret, o.err = unseal.Open(p.keys, c); o.err == nil {
		o.matcher = redact.New(o.secret.Reveal())
	}
	p.opened[c.ID] = o
	return o
}

// NewStream returns the handler of a new stream.
func (p *plugin) NewStream(s filter.Stream) filter.Handler {
	h := p.spare.Take()
	h.p, h.s = p, s
	return h
}

// An opened is a credential in clear. It lives until it is replaced and the last
// stream that has to redact it is done.
type opened struct {
	credential *snapshot.Credential
	secret     unseal.Secret
	matcher    *redact.Matcher
	err        error // why it could not be opened; then there is no secret
	users      int   // streams
	retired    bool

	inject *snapshot.Inject // that value is of; nil: none yet
	value  string
}

// header is the value of a header with the key in it, as i wants it. It is made
// once: requests seldom differ in where they put a key.
func (o *opened) header(i *snapshot.Inject) string {
	if o.inject != i {
		o.inject, o.value = i, headerValue(i, o.secret.Reveal())
	}
	return o.value
}

// holds reports whether o is of c, which may have been read anew.
func (o *opened) holds(c *snapshot.Credential) bool {
	if o.credential == c {
		return true
	}
	if !o.credential.Same(c) {
		return false
	}
	o.credential = c
	return true
}

func (o *opened) acquire() { o.users++ }

func (o *opened) release() {
	o.users--
	o.zero()
}

func (o *opened) retire() {
	o.retired = true
	o.zero()
}

func (o *opened) zero() {
	if o.retired && o.users == 0 && o.matcher != nil {
		o.secret.Zero()
		o.matcher.Zero()
		o.inject, o.value = nil, ""
	}
}
