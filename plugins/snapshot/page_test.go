package snapshot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// agree checks that a page says what the same document says to Decode.
func agree(t *testing.T, s *Snapshot, p *Page) {
	t.Helper()
	head := Snapshot{Format: Format, Epoch: p.Epoch, Generation: p.Generation, Since: p.Since, Policy: p.Policy, Removed: p.Removed}
	for _, e := range p.Targets {
		v, err := DecodeTarget(e.Text)
		if err != nil || v.ID != e.ID {
			t.Fatalf("target %q: %v", e.ID, err)
		}
		head.Targets = append(head.Targets, *v)
	}
	for _, e := range p.Consumers {
		v, err := DecodeConsumer(e.Text)
		if err != nil || v.ID != e.ID || len(v.Tokens) != len(e.Tokens) {
			t.Fatalf("consumer %q with %d tokens: %v", e.ID, len(e.Tokens), err)
		}
		for i := range v.Tokens {
			if d, ok := Digest(v.Tokens[i].SHA256); !ok || d != e.Tokens[i] {
				t.Fatalf("consumer %q: token %d", e.ID, i)
			}
		}
		head.Consumers = append(head.Consumers, *v)
	}
	for _, e := range p.Credentials {
		v, err := DecodeCredential(e.Text)
		if err != nil || v.ID != e.ID {
			t.Fatalf("credential %q: %v", e.ID, err)
		}
		head.Credentials = append(head.Credentials, *v)
	}
	if d := cmp.Diff(s, &head); d != "" {
		t.Fatalf("page (-snapshot +page):\n%s", d)
	}
}

func TestAPageSaysWhatTheSnapshotSays(t *testing.T) {
	p, err := DecodePage(readWhole(t))
	if err != nil {
		t.Fatal(err)
	}
	agree(t, newSnapshot(t), p)
}

func TestDecodePageRefuses(t *testing.T) {
	const head = `{"format":"keyward/v1","epoch":"e","generation":2,"since":1`
	if _, err := DecodePage([]byte(strings.Replace(head, "keyward/v1", Format, 1) + `}`)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, members string }{
		{"an unknown member", `,"x":1`},
		{"a consumer without a name", `,"consumers":[{"kind":"worker"}]`},
		{"a name that is none", `,"credentials":[{"id":"../x"}]`},
		{"an entry twice", `,"consumers":[{"id":"a"},{"id":"a"}]`},
		{"an entry both changed and removed", `,"consumers":[{"id":"a"}],"removed":{"consumers":["a"]}`},
		{"an entry removed twice", `,"removed":{"targets":["a","a"]}`},
		{"a digest that is none", `,"consumers":[{"id":"a","tokens":[{"id":"t","sha256":"AB"}]}]`},
		{"a member twice in what is passed over", `,"consumers":[{"id":"a","grants":[{"id":"g","id":"g"}]}]`},
		{"a target that is not well formed", `,"targets":[{"id":"a","kind":"mcp","match":[]}]`},
		{"something after the end", `}{"x":1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(head, "keyward/v1", Format, 1) + tt.members + "}"
			if p, err := DecodePage([]byte(text)); err == nil {
				t.Errorf("taken: %+v", p)
			}
		})
	}
}

// FuzzDecodePage states that whatever is a snapshot is a page, and says the same
// as one.
func FuzzDecodePage(f *testing.F) {
	f.Add(readWhole(f))
	f.Add([]byte(`{"format":"` + Format + `","epoch":"e","generation":2,"since":1,"removed":{"consumers":["a"]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, pageErr := DecodePage(b)
		s, err := Decode(b)
		if err != nil {
			return
		}
		if pageErr != nil {
			t.Fatalf("a snapshot is no page: %v", pageErr)
		}
		agree(t, s, p)
	})
}
