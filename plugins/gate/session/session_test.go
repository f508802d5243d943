package session

import (
	"bytes"
	"strings"
	"testing"
)

var key = bytes.Repeat([]byte{7}, 32)

func bind(k Kind, consumer, target, id string) string {
	return string(New(key).Append(nil, k, consumer, target, []byte(id)))
}

func TestOpen(t *testing.T) {
	own := bind(Session, "worker", "tools", "s-1")
	flipped := []byte(own)
	flipped[0] ^= 1
	tests := []struct {
		name             string
		kind             Kind
		consumer, target string
		bound            string
		want             string // "": refused
	}{
		{"its own", Session, "worker", "tools", own, "s-1"},
		{"its own event", Event, "worker", "tools", bind(Event, "worker", "tools", "s-1"), "s-1"},
		{"an ID with dots", Session, "worker", "tools", bind(Session, "worker", "tools", "a.b.c"), "a.b.c"},
		{"another consumer's", Session, "other", "tools", own, ""},
		{"another target's", Session, "worker", "code", own, ""},
		{"an event's for a session's", Session, "worker", "tools", bind(Event, "worker", "tools", "s-1"), ""},
		{"a session's for an event's", Event, "worker", "tools", own, ""},
		{"names split elsewhere", Session, "workert", "ools", own, ""},
		{"the server's own ID", Session, "worker", "tools", "s-1", ""},
		{"the server's own ID behind another's MAC", Session, "worker", "tools", own[:Overhead] + "s-2", ""},
		{"a longer ID", Session, "worker", "tools", own + "0", ""},
		{"a shorter ID", Session, "worker", "tools", own[:len(own)-1], ""},
		{"another MAC", Session, "worker", "tools", string(flipped), ""},
		{"no MAC", Session, "worker", "tools", ".s-1", ""},
		{"bits that base64 ignores", Session, "worker", "tools", loose(own), ""},
		{"a MAC alone", Session, "worker", "tools", own[:prefix], ""},
		{"nothing", Session, "worker", "tools", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, ok := New(key).Open(tt.kind, tt.consumer, tt.target, tt.bound)
			if id != tt.want || ok != (tt.want != "") {
				t.Errorf("Open(%q) = %q, %v, want %q", tt.bound, id, ok, tt.want)
			}
		})
	}
	if _, ok := New(bytes.Repeat([]byte{8}, 32)).Open(Session, "worker", "tools", own); ok {
		t.Error("another key opens it")
	}
}

// loose changes the last character of a MAC in the bits that hold nothing.
func loose(bound string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(digits, bound[prefix-1])
	return bound[:prefix-1] + digits[at^1:at^1+1] + bound[prefix:]
}

func TestABinderGivesTheSameAgain(t *testing.T) {
	b := New(key)
	for _, id := range []string{"s-1", "s-2", "s-1"} {
		if got, want := string(b.Append(nil, Session, "worker", "tools", []byte(id))), bind(Session, "worker", "tools", id); got != want {
			t.Errorf("%q is bound as %q, then as %q", id, want, got)
		}
	}
}

// FuzzOpen holds that only what was bound for a consumer and a target opens.
func FuzzOpen(f *testing.F) {
	f.Add("worker", "tools", "s-1", bind(Session, "worker", "tools", "s-1"))
	f.Add("w", "t", "", "")
	f.Fuzz(func(t *testing.T, consumer, target, id, bound string) {
		if len(consumer) > 128 || len(target) > 128 {
			t.Skip("no ID of ours")
		}
		b := New(key)
		if got, ok := b.Open(Session, consumer, target, bound); ok && bound != bind(Session, consumer, target, got) {
			t.Errorf("%q opens as %q, which is bound otherwise", bound, got)
		}
		if got, ok := b.Open(Session, consumer, target, bind(Session, consumer, target, id)); !ok || got != id {
			t.Errorf("%q comes back as %q, %v", id, got, ok)
		}
	})
}

func BenchmarkBinder(b *testing.B) {
	const id = "0f3c2d8e-6a51-4b7e-9c55-1d2e3f405162"
	binder := New(key)
	bound := bind(Session, "worker-1", "github", id)
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
		}
	})
	b.Run("bind", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			out = binder.Append(out[:0], Session, "worker-1", "github", []byte(id))
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := binder.Open(Session, "worker-1", "github", bound); !ok {
				b.Fatal("not opened")
			}
		}
	})
}
