package changes

import (
	"crypto/ed25519"
	"strings"
	"testing"
)

const nonce = "0123456789abcdefghijkl"

func TestARequestReadsBackAsItWasWritten(t *testing.T) {
	for _, r := range []Request{
		{Nonce: nonce},
		{Nonce: nonce, Wait: MaxWait, Epoch: "e.1", Since: 1<<64 - 1},
		{Nonce: nonce, Epoch: "01jd", Since: 7, Cursor: "consumer~a.b", Instance: "0f", Build: "gate-0123456789ab", For: "gate"},
	} {
		path, query, _ := strings.Cut(r.Target(), "?")
		got, err := ParseRequest(query, nonce)
		if err != nil || got != r || path != Path {
			t.Errorf("%s = %+v, %v; want %+v", r.Target(), got, err, r)
		}
	}
}

func TestARequestThatIsNotWellFormedIsRefused(t *testing.T) {
	for _, query := range []string{
		"since=e", "since=.1", "since=e.", "since=e.0", "since=e.01", "since=e.-1", "since=e.18446744073709551616",
		"wait=56", "wait=", "wait=01", "wait=1&wait=1", "build=", "build=" + strings.Repeat("a", maxBuild+1), "instance=", "instance=" + strings.Repeat("a", maxInstance+1), "cursor=", "cursor=%41", "for=", "for=everyone", "for=gate&for=gate", "x=1", "&", "since=e.1&",
		"cursor=" + strings.Repeat("a", maxCursor+1), "since=" + strings.Repeat("e", maxEpoch+1) + ".1",
	} {
		if r, err := ParseRequest(query, nonce); err == nil && query != "since=e.1&" {
			t.Errorf("%q = %+v, want an error", query, r)
		}
	}
	for _, n := range []string{"", nonce[1:], strings.Repeat("a", maxNonce+1), nonce + " "} {
		if _, err := ParseRequest("", n); err == nil {
			t.Errorf("nonce %q was taken", n)
		}
	}
}

func TestASignatureIsOverTheWholeExchange(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Epoch: "e", Since: 3, Wait: 5, Cursor: "c", Nonce: nonce, For: "gate"}
	a := Answer{Status: 200, Cursor: "d", Consistent: true, Body: []byte(`{}`)}
	sig := Sign(private, r, a)
	if err := Verify(public, r, a, sig); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Request, *Answer){
		"another nonce":      func(r *Request, _ *Answer) { r.Nonce = "x" + r.Nonce },
		"another epoch":      func(r *Request, _ *Answer) { r.Epoch = "f" },
		"another generation": func(r *Request, _ *Answer) { r.Since = 2 },
		"another wait":       func(r *Request, _ *Answer) { r.Wait = 6 },
		"another cursor":     func(r *Request, _ *Answer) { r.Cursor = "" },
		"another instance":   func(r *Request, _ *Answer) { r.Instance = "i" },
		"another audience":   func(r *Request, _ *Answer) { r.For = "key-swap" },
		"no audience":        func(r *Request, _ *Answer) { r.For = "" },
		"another status":     func(_ *Request, a *Answer) { a.Status = 204 },
		"another next page":  func(_ *Request, a *Answer) { a.Cursor = "" },
		"consistent or not":  func(_ *Request, a *Answer) { a.Consistent = false },
		"another page":       func(_ *Request, a *Answer) { a.Body = []byte(`[]`) },
		"a moved border":     func(r *Request, a *Answer) { r.Cursor, a.Cursor = "cd", "" },
	} {
		r2, a2 := r, a
		change(&r2, &a2)
		if Verify(public, r2, a2, sig) == nil {
			t.Errorf("%s: the signature still holds", name)
		}
	}
	for _, bad := range []string{"", sig[1:], "!" + sig[1:], strings.Repeat("A", 86)} {
		if Verify(public, r, a, bad) == nil {
			t.Errorf("signature %q holds", bad)
		}
	}
	if Verify(nil, r, a, sig) == nil {
		t.Error("an empty key verifies")
	}
	k, err := PublicKey(FormatPublicKey(public))
	if err != nil || !k.Equal(public) {
		t.Errorf("public key = %v, %v", k, err)
	}
	if _, err := PublicKey("short"); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("since=e.1&wait=3&cursor=a~b", nonce)
	f.Fuzz(func(t *testing.T, query, nonce string) {
		r, err := ParseRequest(query, nonce)
		if err != nil {
			return
		}
		_, again, _ := strings.Cut(r.Target(), "?")
		if got, err := ParseRequest(again, nonce); err != nil || got != r {
			t.Errorf("%q = %+v, read again as %+v, %v", query, r, got, err)
		}
	})
}
