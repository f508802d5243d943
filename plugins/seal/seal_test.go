package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"keyward/plugins/snapshot"
)

const canary = "ghp_CanaryCanaryCanary42"

func newKey(t testing.TB) *PrivateKey {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSecret(t testing.TB, s string) Secret {
	t.Helper()
	secret, err := NewSecret([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// newCredential returns a credential that is sealed to every key.
func newCredential(t testing.TB, keys ...*PrivateKey) *snapshot.Credential {
	t.Helper()
	c := &snapshot.Credential{ID: "github", Version: 2,
		Upstream: snapshot.Upstream{Clusters: []string{"c1"}, Hosts: []string{"api.github.com", "uploads.github.com"}}}
	for _, k := range keys {
		s, err := Seal(k.Public(), newSecret(t, canary), For(c))
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
		keys    []*PrivateKey
		change  func(*snapshot.Credential)
		wantErr error
	}{
		{"its own key opens it", []*PrivateKey{k}, func(*snapshot.Credential) {}, nil},
		{"any active key opens it", []*PrivateKey{newKey(t), other}, func(*snapshot.Credential) {}, nil},
		{"hosts may stand in another order", []*PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Hosts = []string{"uploads.github.com", "api.github.com"}
		}, nil},
		{"no key opens nothing", nil, func(*snapshot.Credential) {}, ErrNoKey},
		{"another key does not open it", []*PrivateKey{newKey(t)}, func(*snapshot.Credential) {}, ErrNoKey},
		{"another key under its name does not open it", []*PrivateKey{other}, func(c *snapshot.Credential) {
			c.Sealed = []snapshot.Sealed{{Key: other.ID(), Data: c.Sealed[0].Data}}
		}, ErrOpen},
		{"moved to another credential it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.ID = "gitlab" }, ErrOpen},
		{"passed off as a new version it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Version = 3 }, ErrOpen},
		{"with another host it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Hosts = append(c.Upstream.Hosts, "evil.example")
		}, ErrOpen},
		{"without its hosts it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Upstream.Hosts = nil }, ErrOpen},
		{"with a host as a cluster it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) {
			c.Upstream.Clusters, c.Upstream.Hosts = append(c.Upstream.Clusters, c.Upstream.Hosts...), nil
		}, ErrOpen},
		{"with another cluster it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Upstream.Clusters[0] = "c2" }, ErrOpen},
		{"altered it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data[encBytes] ^= 1 }, ErrOpen},
		{"with another encapsulation it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data[0] ^= 1 }, ErrOpen},
		{"cut short it does not open", []*PrivateKey{k}, func(c *snapshot.Credential) { c.Sealed[0].Data = c.Sealed[0].Data[:encBytes-1] }, ErrOpen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCredential(t, k, other)
			tt.change(c)
			got, err := Open(tt.keys, c)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error = %v, want %v", err, tt.wantErr)
			}
			if err == nil && string(got.Reveal()) != canary {
				t.Error("opened to something else")
			}
		})
	}
}

func TestSealTwiceDiffers(t *testing.T) {
	c := newCredential(t, newKey(t))
	d := newCredential(t, newKey(t))
	if string(c.Sealed[0].Data) == string(d.Sealed[0].Data) {
		t.Error("two sealings are equal")
	}
}

func TestNewSecret(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"a key", "sk-proj-0123", nil},
		{"a password with a space in it", "correct horse", nil},
		{"nothing", "", ErrLength},
		{"too short to be redacted", "1234567", ErrLength},
		{"too long", strings.Repeat("x", MaxSecretBytes+1), ErrLength},
		{"a line break at its end", "0123456789\n", ErrText},
		{"a header behind it", "01234567\r\nx: y", ErrText},
		{"a NUL in it", "01234567\x0089", ErrText},
		{"a space before it", " 0123456789", ErrText},
		{"a space behind it", "0123456789 ", ErrText},
		{"more than ASCII", "schlüssel-99", ErrText},
		{"a placeholder", "${secret.ns/name.key}", ErrPlaceholder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewSecret([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s, k := newSecret(t, canary), newKey(t)
	text, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, &s, struct{ S Secret }{s})
		fmt.Fprintf(&out, verb+" "+verb+"\n", k, struct{ K *PrivateKey }{k})
	}
	b, err := json.Marshal(map[string]any{"s": s, "k": k})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "k", k)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "k", k)
	for _, secret := range []string{canary, fmt.Sprintf("%x", canary), text, strings.TrimPrefix(text, PrivatePrefix)[:20], fmt.Sprintf("%d", []byte(canary))} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed:\n%s", out.String())
		}
	}
}

func TestZeroOverwrites(t *testing.T) {
	s := newSecret(t, canary)
	twin := s
	s.Zero()
	if strings.Trim(string(twin.Reveal()), "\x00") != "" {
		t.Error("a copy still holds the secret")
	}
}

func TestKeysRoundTrip(t *testing.T) {
	k := newKey(t)
	text, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePrivate(text)
	if err != nil || again.ID() != k.ID() {
		t.Errorf("ParsePrivate = %v, %v, want %v", again, err, k)
	}
	public, err := ParsePublic(k.Public().String())
	if err != nil || public.ID() != k.ID() || !snapshot.ValidID(public.ID()) {
		t.Errorf("ParsePublic = %v, %v, want %v", public.ID(), err, k)
	}
	keys, err := ParseKeys(" " + text + "\n" + text + " ")
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
	text, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	public := k.Public().String()
	mistyped := []byte(text)
	mistyped[len(PrivatePrefix)+5] ^= 1
	for name, in := range map[string]string{
		"nothing": "", "the prefix alone": PrivatePrefix, "a public key": public, "a cut key": text[:len(text)-1],
		"a mistyped key": string(mistyped), "a key with something behind it": text + "=",
	} {
		if _, err := ParsePrivate(in); !errors.Is(err, ErrKey) {
			t.Errorf("ParsePrivate of %s: error = %v", name, err)
		}
		if _, err := ParseKeys(text + " " + in); name != "nothing" && !errors.Is(err, ErrKey) {
			t.Errorf("ParseKeys with %s: error = %v", name, err)
		}
	}
	if _, err := ParsePublic(text); !errors.Is(err, ErrKey) {
		t.Errorf("ParsePublic of a private key: error = %v", err)
	}
	if _, err := ParseKeys(" \n"); err == nil {
		t.Error("ParseKeys of nothing succeeds")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(PrivatePrefix)
	f.Add(PublicPrefix + "AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParsePrivate(s); err == nil {
			if again, err := k.Reveal(); err != nil || again != s {
				t.Errorf("%q became %q, %v", s, again, err)
			}
		}
		if k, err := ParsePublic(s); err == nil && k.String() != s {
			t.Errorf("%q became %q", s, k)
		}
	})
}

func FuzzOpen(f *testing.F) {
	k := newKey(f)
	f.Add(newCredential(f, k).Sealed[0].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := k.open(data, Binding{Credential: "x", Version: 1}); err == nil {
			t.Errorf("opened to %d bytes", len(s.Reveal()))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	k := newKey(b)
	c := newCredential(b, k)
	keys := []*PrivateKey{k}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(keys, c); err != nil {
			b.Fatal(err)
		}
	}
}
