package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyward/manager"
	"keyward/manager/oidc"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// An issuer is a provider with one key, as far as verifying asks for one.
type issuer struct {
	*httptest.Server
	key   *rsa.PrivateKey
	asked int
	fails bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.asked++
		if i.fails {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) provider(t *testing.T) *oidc.Provider {
	t.Helper()
	return i.providerAt(t, func() time.Time { return now })
}

func (i *issuer) providerAt(t *testing.T, clock func() time.Time) *oidc.Provider {
	t.Helper()
	p, err := oidc.New(oidc.Config{
		Issuer: i.URL, Audience: "keyward",
		Roles: map[string]manager.Role{"ops": manager.Operator, "owners": manager.Admin, "all": manager.Auditor},
	}, oidc.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// claims are those of a good token, with some changed; nil: left out.
func (i *issuer) claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": "keyward", "sub": "u-17", "email": "ann@example.org", "groups": []string{"all", "ops"},
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIdentify(t *testing.T) {
	i := newIssuer(t)
	p := i.provider(t)
	for name, tt := range map[string]struct {
		change map[string]any
		want   manager.Actor
	}{
		"the highest role counts": {nil, manager.Actor{ID: "oidc:u-17", Name: "ann@example.org", Role: manager.Operator}},
		"one value": {
			map[string]any{"groups": "owners", "email": nil},
			manager.Actor{ID: "oidc:u-17", Name: "u-17", Role: manager.Admin},
		},
		"a name that could break a line is left out": {
			map[string]any{"email": "a\nb"},
			manager.Actor{ID: "oidc:u-17", Name: "u-17", Role: manager.Operator},
		},
	} {
		got, err := p.Identify(t.Context(), sign(t, jose.RS256, i.key, i.claims(tt.change)))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
}

func TestIdentifyRefuses(t *testing.T) {
	i := newIssuer(t)
	p := i.provider(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: i.key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, jose.RS256, i.key, i.claims(nil))
	parts := strings.Split(good, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	with := func(change map[string]any) string { return sign(t, jose.RS256, i.key, i.claims(change)) }
	for name, token := range map[string]string{
		"nothing":                     "",
		"an admin token":              "kwa_x",
		"no signature":                forged,
		"no signature, its own text":  parts[0] + "." + parts[1] + ".",
		"another key":                 sign(t, jose.RS256, other, i.claims(nil)),
		"another kind of key":         sign(t, jose.ES256, curve, i.claims(nil)),
		"the public key as a secret":  sign(t, jose.HS256, public, i.claims(nil)),
		"another payload":             parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2],
		"another issuer":              with(map[string]any{"iss": "https://evil.example"}),
		"another audience":            with(map[string]any{"aud": "mail"}),
		"no audience":                 with(map[string]any{"aud": nil}),
		"it has ended":                with(map[string]any{"exp": now.Add(-time.Second).Unix()}),
		"no end":                      with(map[string]any{"exp": nil}),
		"not yet":                     with(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"no subject":                  with(map[string]any{"sub": nil}),
		"a subject with a line break": with(map[string]any{"sub": "a\nb"}),
		"a long subject":              with(map[string]any{"sub": strings.Repeat("a", 300)}),
		"no group":                    with(map[string]any{"groups": nil}),
		"groups without a role":       with(map[string]any{"groups": []string{"guests", ""}}),
		"groups of another type":      with(map[string]any{"groups": map[string]any{"owners": true}}),
		"too long":                    good + strings.Repeat("A", oidc.MaxToken),
	} {
		if got, err := p.Identify(t.Context(), token); !errors.Is(err, manager.ErrForbidden) || got != (manager.Actor{}) {
			t.Errorf("%s: %+v, %v; want ErrForbidden", name, got, err)
		}
	}
}

// Nothing tells that a key is withdrawn but its absence: who stole it must not go
// on until the Manager is started again.
func TestAWithdrawnKeyEnds(t *testing.T) {
	i := newIssuer(t)
	clock := now
	p := i.providerAt(t, func() time.Time { return clock })
	stolen := sign(t, jose.RS256, i.key, i.claims(nil))
	if _, err := p.Identify(t.Context(), stolen); err != nil {
		t.Fatal(err)
	}
	var err error
	if i.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(6 * time.Minute)
	if _, err := p.Identify(t.Context(), stolen); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("by the withdrawn key: %v, want ErrForbidden", err)
	}
	if _, err := p.Identify(t.Context(), sign(t, jose.RS256, i.key, i.claims(nil))); err != nil {
		t.Errorf("by the new key: %v", err)
	}
	i.fails = true
	clock = clock.Add(6 * time.Minute)
	if _, err := p.Identify(t.Context(), stolen); err == nil || errors.Is(err, manager.ErrForbidden) {
		t.Errorf("while the keys can't be had: %v, want an error of the issuer", err)
	}
}

func TestAnIssuerThatIsDownIsNotAskedAgainAtOnce(t *testing.T) {
	i := newIssuer(t)
	i.fails = true
	p := i.provider(t)
	token := sign(t, jose.RS256, i.key, i.claims(nil))
	for range 3 {
		if _, err := p.Identify(t.Context(), token); err == nil || errors.Is(err, manager.ErrForbidden) {
			t.Errorf("err = %v, want one of the issuer", err)
		}
	}
	if i.asked != 1 {
		t.Errorf("the issuer was asked %d times, want 1", i.asked)
	}
}

func TestValidate(t *testing.T) {
	roles := map[string]manager.Role{"a": manager.Admin}
	for name, c := range map[string]oidc.Config{
		"clear text":      {Issuer: "http://idp.example", Audience: "k", Roles: roles},
		"no URL":          {Issuer: "idp", Audience: "k", Roles: roles},
		"a query":         {Issuer: "https://idp.example?x=1", Audience: "k", Roles: roles},
		"no audience":     {Issuer: "https://idp.example", Roles: roles},
		"no roles":        {Issuer: "https://idp.example", Audience: "k"},
		"an unknown role": {Issuer: "https://idp.example", Audience: "k", Roles: map[string]manager.Role{"a": "root"}},
		"an empty value":  {Issuer: "https://idp.example", Audience: "k", Roles: map[string]manager.Role{"": manager.Auditor}},
	} {
		if _, err := oidc.New(c, oidc.Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
