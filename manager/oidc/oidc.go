// Package oidc tells who holds an ID token of an OpenID provider, so that an
// organisation's own log-in can take the place of admin tokens.
//
// A token must be a signed ID token (OpenID Connect Core 1.0, 3.1.3.7) of the one
// configured issuer, for the one configured audience, in its time. What role its
// holder has comes from one claim and a fixed table: a value that is not in the
// table gives no role, and who has no role is nobody.
//
// The provider's keys are fetched when first needed, again for a key that is not
// known yet, and anew after some minutes, so that one that was withdrawn counts no
// longer. While they can't be had no such token is valid; admin tokens go on.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"keyward/manager"
)

// Bounds of a token and of what a provider answers.
const (
	MaxToken    = 16 << 10 // bytes
	maxAnswer   = 1 << 20  // bytes of a discovery document or a key set
	maxSubject  = 200      // bytes; Core limits sub to 255
	maxValues   = 1000     // of the role claim
	askTimeout  = 5 * time.Second
	retryAfter  = 10 * time.Second // between attempts at discovery
	keepKeys    = 5 * time.Minute  // after which a withdrawn key counts no longer
	maxRoles    = 100
	defaultName = "groups"
)

// algorithms that may sign. A shared secret (HS256) or none is never accepted.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// A Config says whose tokens count, and for what.
type Config struct {
	Issuer   string                  `yaml:"issuer"`   // https URL, as in the tokens' iss; http on the loopback only
	Audience string                  `yaml:"audience"` // client ID that tokens must be for
	Claim    string                  `yaml:"claim"`    // whose value gives the role: a string or a list; empty: groups
	Roles    map[string]manager.Role `yaml:"roles"`    // by value of the claim; of several the highest counts
}

// Validate checks c.
func (c *Config) Validate() error {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("issuer: %q is no plain URL", c.Issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return fmt.Errorf("issuer: %q must be https: who can change the keys on the way is admin", c.Issuer)
	case c.Audience == "":
		return errors.New("audience: must be set: tokens for other programs would count too")
	case len(c.Roles) == 0 || len(c.Roles) > maxRoles:
		return fmt.Errorf("roles: name 1 to %d values of the claim", maxRoles)
	}
	for value, role := range c.Roles {
		if value == "" || !role.Includes(manager.Auditor) {
			return fmt.Errorf("roles: %q: want auditor, operator or admin for a value that is not empty", value)
		}
	}
	return nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Options of a Provider. The zero value works.
type Options struct {
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: http.DefaultTransport
}

// A Provider identifies by the tokens of one issuer. It may be used by several
// goroutines at once.
type Provider struct {
	config Config
	now    func() time.Time
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: not discovered yet
	since    time.Time             // of the verifier, which keeps keys for ever
	tried    time.Time             // when discovery failed last
}

// New returns a provider; it asks the issuer nothing yet.
func New(c Config, opt Options) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Claim == "" {
		c.Claim = defaultName
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Transport == nil {
		opt.Transport = http.DefaultTransport
	}
	return &Provider{
		config: c,
		now:    opt.Now,
		client: &http.Client{
			Transport:     bounded{opt.Transport},
			Timeout:       askTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Looks reports whether s may be a token for [Provider.Identify]: a JWS in
// compact form (RFC 7515, 3.1). It costs nothing and proves nothing.
func Looks(s string) bool {
	return len(s) <= MaxToken && strings.HasPrefix(s, "ey") && strings.Count(s, ".") == 2
}

// Identify returns who holds a token. [manager.ErrForbidden]: it is not valid, or
// gives no role; which of the two is not told. Any other error is one of the
// provider, and says nothing of the token.
func (p *Provider) Identify(ctx context.Context, token string) (manager.Actor, error) {
	if !Looks(token) {
		return manager.Actor{}, manager.ErrForbidden
	}
	v, err := p.discovered(ctx)
	if err != nil {
		return manager.Actor{}, err
	}
	t, err := v.Verify(oidc.ClientContext(ctx, p.client), token)
	if err != nil {
		if ctx.Err() != nil {
			return manager.Actor{}, ctx.Err()
		}
		return manager.Actor{}, manager.ErrForbidden
	}
	if t.Subject == "" || len(t.Subject) > maxSubject || !printable(t.Subject) {
		return manager.Actor{}, manager.ErrForbidden
	}
	var claims map[string]json.RawMessage
	if err := t.Claims(&claims); err != nil {
		return manager.Actor{}, manager.ErrForbidden
	}
	role := p.role(claims[p.config.Claim])
	if role == "" {
		return manager.Actor{}, manager.ErrForbidden
	}
	return manager.Actor{ID: "oidc:" + t.Subject, Name: name(claims, t.Subject), Role: role}, nil
}

// role is the highest that a claim's values give; empty: none.
func (p *Provider) role(claim json.RawMessage) manager.Role {
	var values []string
	var one string
	switch {
	case json.Unmarshal(claim, &one) == nil:
		values = []string{one}
	case json.Unmarshal(claim, &values) != nil || len(values) > maxValues:
		return ""
	}
	var highest manager.Role
	for _, v := range values {
		if r := p.config.Roles[v]; r != "" && !highest.Includes(r) {
			highest = r
		}
	}
	return highest
}

// name is what a person would know the holder by; the subject is what counts.
func name(claims map[string]json.RawMessage, subject string) string {
	for _, claim := range []string{"email", "preferred_username", "name"} {
		var s string
		if json.Unmarshal(claims[claim], &s) == nil && s != "" && len(s) <= 100 && printable(s) {
			return s
		}
	}
	return subject
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// discovered asks the issuer once for what it publishes (OpenID Connect
// Discovery 1.0) every few minutes, and after a failure not again for a while.
func (p *Provider) discovered(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if age := now.Sub(p.since); p.verifier != nil && age >= 0 && age < keepKeys {
		return p.verifier, nil
	}
	p.verifier = nil
	if now.Sub(p.tried) < retryAfter {
		return nil, errors.New("oidc: the issuer could not be asked a moment ago")
	}
	// Keys are fetched later under this context, so it must outlive the request.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), p.client)
	provider, err := oidc.NewProvider(ctx, p.config.Issuer)
	if err != nil {
		p.tried = p.now()
		return nil, fmt.Errorf("oidc: ask %q: %w", p.config.Issuer, err)
	}
	p.since = now
	p.verifier = provider.VerifierContext(ctx, &oidc.Config{
		ClientID: p.config.Audience, SupportedSigningAlgs: algorithms, Now: p.now,
	})
	return p.verifier, nil
}

// bounded bounds the answers of a transport.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}
