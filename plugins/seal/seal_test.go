package seal_test

import (
	"bytes"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"keyward/plugins/seal"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
)

const (
	canary   = "ghp_CanaryCanaryCanary42"
	encBytes = 1088 + 32 // ML-KEM-768 ciphertext and X25519 public key
)

func newKey(t testing.TB) *seal.PrivateKey {
	t.Helper()
	k, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func reveal(t testing.TB, k *seal.PrivateKey) string {
	t.Helper()
	text, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// opener is the half of k that a gateway has.
func opener(t testing.TB, k *seal.PrivateKey) *unseal.Key {
	t.Helper()
	keys, err := unseal.ParseKeys(reveal(t, k))
	if err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

func newSecret(t testing.TB, s string) seal.Secret {
	t.Helper()
	secret, err := seal.NewSecret([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// newCredential returns a credential that is sealed to every key.
func newCredential(t testing.TB, keys ...*seal.PrivateKey) *snapshot.Credential {
	t.Helper()
	c := &snapshot.Credential{
		ID: "github", Version: 2,
		Upstream: snapshot.Upstream{Clusters: []string{"c1"}, Hosts: []string{"api.github.com", "uploads.github.com"}},
	}
	for _, k := range keys {
		s, err := seal.Seal(k.Public(), newSecret(t, canary), seal.For(c))
		if err != nil {
			t.Fatal(err)
		}
		c.Sealed = append(c.Sealed, s)
	}
	return c
}

func TestOpen(t *testing.T) {
	k, other := newKey(t), newKey(t)
	tests := []struct {
		name    string
		keys    []*seal.PrivateKey
		change  func(*snapshot.Credential)
		wantErr error
	}{
		{"its own key opens it", []*seal.PrivateKey{k}, func(*snapshot.Credential) {}, nil},
		{"any active key opens it", []*seal.PrivateKey{newKey(t), other}, func(*snapshot.Credential) {}, nil},
		{"hosts may stand in another order", []*seal.PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Hosts = []string{"uploads.github.com", "api.github.com"}
		}, nil},
		{"no key opens nothing", nil, func(*snapshot.Credential) {}, unseal.ErrNoKey},
		{"another key does not open it", []*seal.PrivateKey{newKey(t)}, func(*snapshot.Credential) {}, unseal.ErrNoKey},
		{"another key under its name does not open it", []*seal.PrivateKey{other}, func(c *snapshot.Credential) {
			c.Sealed = []snapshot.Sealed{{Key: other.ID(), Data: c.Sealed[0].Data}}
		}, unseal.ErrOpen},
		{"moved to another credential it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.ID = "gitlab" }, unseal.ErrOpen},
		{"passed off as a new version it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Version = 3 }, unseal.ErrOpen},
		{"with another host it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Hosts = append(c.Upstream.Hosts, "evil.example")
		}, unseal.ErrOpen},
		{"without its hosts it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Upstream.Hosts = nil }, unseal.ErrOpen},
		{"with a host as a cluster it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Clusters, c.Upstream.Hosts = append(c.Upstream.Clusters, c.Upstream.Hosts...), nil
		}, unseal.ErrOpen},
		{"with another cluster it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Upstream.Clusters[0] = "c2" }, unseal.ErrOpen},
		{"altered it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data[encBytes] ^= 1 }, unseal.ErrOpen},
		{"with another encapsulation it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data[0] ^= 1 }, unseal.ErrOpen},
		{"cut short it does not open", []*seal.PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data = c.Sealed[0].Data[:encBytes-1] }, unseal.ErrOpen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCredential(t, k, other)
			tt.change(c)
			var keys []*unseal.Key
			for _, k := range tt.keys {
				keys = append(keys, opener(t, k))
			}
			got, err := unseal.Open(keys, c)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error = %v, want %v", err, tt.wantErr)
			}
			if err == nil && string(got.Reveal()) != canary {
				t.Error("opened to something else")
			}
		})
	}
}

// What is opened by package unseal must be what crypto/hpke opens.
func TestOpenAgreesWithStandardLibrary(t *testing.T) {
	for range 20 {
		k := newKey(t)
		seed, err := unseal.ParseKey(unseal.PrivatePrefix, reveal(t, k))
		if err != nil {
			t.Fatal(err)
		}
		std, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		c := newCredential(t, k)
		data := c.Sealed[0].Data
		r, err := hpke.NewRecipient(data[:encBytes], std, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(unseal.Info))
		if err != nil {
			t.Fatal(err)
		}
		want, err := r.Open(seal.For(c).Bytes(), data[encBytes:])
		if err != nil {
			t.Fatal(err)
		}
		got, err := unseal.Open([]*unseal.Key{opener(t, k)}, c)
		if err != nil || !bytes.Equal(got.Reveal(), want) || opener(t, k).ID() != k.ID() {
			t.Fatalf("Open = %v, %v, want what the standard library opens", got, err)
		}
	}
}

func TestSealTwiceDiffers(t *testing.T) {
	c := newCredential(t, newKey(t))
	d := newCredential(t, newKey(t))
	if string(c.Sealed[0].Data) == string(d.Sealed[0].Data) {
		t.Error("two sealings are equal")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s, k := newSecret(t, canary), newKey(t)
	text, o := reveal(t, k), opener(t, k)
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, &s, struct{ S seal.Secret }{s})
		fmt.Fprintf(&out, verb+" "+verb+"\n", k, struct{ K *seal.PrivateKey }{k})
		fmt.Fprintf(&out, verb+" "+verb+"\n", o, struct{ K *unseal.Key }{o})
	}
	b, err := json.Marshal(map[string]any{"s": s, "k": k, "o": o})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "k", k, "o", o)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "k", k, "o", o)
	for _, secret := range []string{canary, fmt.Sprintf("%x", canary), text, strings.TrimPrefix(text, unseal.PrivatePrefix)[:20], fmt.Sprintf("%d", []byte(canary))} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed:\n%s", out.String())
		}
	}
}

func TestKeysRoundTrip(t *testing.T) {
	k := newKey(t)
	text := reveal(t, k)
	again, err := seal.ParsePrivate(text)
	if err != nil || again.ID() != k.ID() {
		t.Errorf("ParsePrivate = %v, %v, want %v", again, err, k)
	}
	public, err := seal.ParsePublic(k.Public().String())
	if err != nil || public.ID() != k.ID() || !snapshot.ValidID(public.ID()) {
		t.Errorf("ParsePublic = %v, %v, want %v", public.ID(), err, k)
	}
	keys, err := unseal.ParseKeys(" " + text + "\n" + text + " ")
	if err != nil || len(keys) != 2 {
		t.Errorf("ParseKeys = %v, %v", keys, err)
	}
}

func TestRevealLeavesTheKeyWhole(t *testing.T) {
	k := newKey(t)
	first, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.Reveal(); err != nil || again != first {
		t.Errorf("a second Reveal gives another key: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	k := newKey(t)
	text := reveal(t, k)
	public := k.Public().String()
	mistyped := []byte(text)
	mistyped[len(unseal.PrivatePrefix)+5] ^= 1
	for name, in := range map[string]string{
		"nothing": "", "the prefix alone": unseal.PrivatePrefix, "a public key": public, "a cut key": text[:len(text)-1],
		"a mistyped key": string(mistyped), "a key with something behind it": text + "=", "a key with a line break in it": text[:40] + "\n" + text[40:],
	} {
		if _, err := seal.ParsePrivate(in); !errors.Is(err, seal.ErrKey) {
			t.Errorf("ParsePrivate of %s: error = %v", name, err)
		}
		if _, err := unseal.ParseKeys(text + " " + in); in != "" && !errors.Is(err, seal.ErrKey) {
			t.Errorf("ParseKeys with %s: error = %v", name, err)
		}
	}
	if _, err := seal.ParsePublic(text); !errors.Is(err, seal.ErrKey) {
		t.Errorf("ParsePublic of a private key: error = %v", err)
	}
	if again := reveal(t, k); again != text {
		t.Error("a key reveals itself only once")
	}
	if _, err := unseal.ParseKeys(" \n"); err == nil {
		t.Error("ParseKeys of nothing succeeds")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(unseal.PrivatePrefix)
	f.Add(unseal.PublicPrefix + "AAAA")
	f.Add(reveal(f, newKey(f)))
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := seal.ParsePrivate(s); err == nil && reveal(t, k) != s {
			t.Errorf("%q became %q", s, reveal(t, k))
		}
		if k, err := seal.ParsePublic(s); err == nil && k.String() != s {
			t.Errorf("%q became %q", s, k)
		}
		if _, err := unseal.ParseKeys(s); (err == nil) != (strings.TrimSpace(s) != "" && allParse(s)) {
			t.Errorf("ParseKeys(%q) = %v", s, err)
		}
	})
}

func allParse(s string) bool {
	for text := range strings.FieldsSeq(s) {
		if _, err := seal.ParsePrivate(text); err != nil {
			return false
		}
	}
	return true
}

func FuzzOpen(f *testing.F) {
	k := newKey(f)
	o := []*unseal.Key{opener(f, k)}
	f.Add(newCredential(f, k).Sealed[0].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &snapshot.Credential{ID: "x", Version: 1, Sealed: []snapshot.Sealed{{Key: k.ID(), Data: data}}}
		if s, err := unseal.Open(o, c); err == nil {
			t.Errorf("opened to %d bytes", len(s.Reveal()))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	k := newKey(b)
	c, keys := newCredential(b, k), []*unseal.Key{opener(b, k)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unseal.Open(keys, c); err != nil {
			b.Fatal(err)
		}
	}
}
