package live

import (
	"fmt"
	"testing"

	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

func BenchmarkWritePage(b *testing.B) {
	s := &snapshot.Snapshot{Format: snapshot.Format, Epoch: "e1", Generation: 1}
	for i := range 160 {
		c := snapshot.Consumer{ID: fmt.Sprintf("c%06d", i), Kind: "worker", State: snapshot.Active, Tokens: []snapshot.Token{{ID: fmt.Sprintf("tk-c%06d", i), SHA256: digestText(i)}}}
		for j := range 10 {
			c.Grants = append(c.Grants, snapshot.Grant{Target: fmt.Sprintf("t%04d", i+j), Grant: policies.Grant{ID: fmt.Sprintf("gr-01m8c9ka4k6ff6s7aywsc0e6ts-%06d", i)}})
			c.Grants[j].ID += fmt.Sprint(j)
		}
		s.Consumers = append(s.Consumers, c)
	}
	text := snapshot.Encode(s)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		w, err := newWriter(newSpace(&filtertest.Store{}, testToken, snapshot.Everyone), true, 1, 1, start)
		if err != nil {
			b.Fatal(err)
		}
		page, err := snapshot.DecodePage(text)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.add(page); err != nil {
			b.Fatal(err)
		}
	}
}
