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
	"bytes"
	"errors"

	"keyward/plugins/filter"
	"keyward/plugins/key-swap/redact"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
)

// EnvKeys is the name of the environment variable with the gateway's private
// keys in text form, separated by spaces. All of them are active: an old one
// stays until nothing is sealed to it any more.
const EnvKeys = "KEYWARD_GATEWAY_KEYS"

// New returns the plugin.
func New(h filter.Host) filter.Plugin { return &plugin{host: h, opened: map[string]*opened{}} }

type plugin struct {
	host   filter.Host
	view   *snapshot.View // nil: no configuration yet, which refuses everything
	keys   []*unseal.Key
	opened map[string]*opened // by credential ID; opening costs a millisecond
}

// Configure takes an object with the only member "snapshot". Credentials that
// it leaves unchanged stay open.
func (p *plugin) Configure(config []byte) error {
	s, err := snapshot.DecodeConfig(config, nil)
	if err != nil {
		return err
	}
	view, err := snapshot.NewView(s)
	if err != nil {
		return err
	}
	var keys []*unseal.Key
	if text := p.host.Getenv(EnvKeys); text != "" {
		if keys, err = unseal.ParseKeys(text); err != nil {
			return errors.New(EnvKeys + ": " + err.Error())
		}
	} else if len(s.Credentials) > 0 {
		p.host.Log(filter.Warn, "key-swap: "+EnvKeys+" is not set: no credential can be opened")
	}
	p.view, p.keys = view, keys
	for id, o := range p.opened {
		if c, ok := view.Credential(id); ok && o.err == nil && same(c, o.credential) {
			o.credential = c
			continue
		}
		delete(p.opened, id)
		o.retire()
	}
	return nil
}

func same(a, b *snapshot.Credential) bool {
	return bytes.Equal(snapshot.EncodeCredential(a), snapshot.EncodeCredential(b))
}

// open returns the credential in clear, from the cache if it is there. A
// credential that does not open is not tried again.
func (p *plugin) open(c *snapshot.Credential) *opened {
	if o, ok := p.opened[c.ID]; ok {
		return o
	}
	o := &opened{credential: c}
	if o.secret, o.err = unseal.Open(p.keys, c); o.err == nil {
		o.matcher = redact.New(o.secret.Reveal())
	}
	p.opened[c.ID] = o
	return o
}

// NewStream returns the handler of a new stream.
func (p *plugin) NewStream(s filter.Stream) filter.Handler { return &handler{p: p, s: s} }

// An opened is a credential in clear. It lives until it is replaced and the last
// stream that has to redact it is done.
type opened struct {
	credential *snapshot.Credential
	secret     unseal.Secret
	matcher    *redact.Matcher
	err        error // why it could not be opened; then there is no secret
	users      int   // streams
	retired    bool
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
	}
}
