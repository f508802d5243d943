package wasmhost_test

import (
	"testing"

	"keyward/plugins/filter/filtertest"
	"keyward/tools/gateway/chain/chaintest"
	"keyward/tools/gateway/wasmhost"
)

// BenchmarkExchange is what the chain and the ABI cost a request; the baseline
// has no plugin.
func BenchmarkExchange(b *testing.B) {
	request := filtertest.Message{
		Headers: [][2]string{{":method", "POST"}, {":path", "/"}, {":authority", "h"}, {"x-do", "headers=hold body=holdtoend"}},
		Body:    []string{"0123456789"},
	}
	b.Run("no plugin", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			chaintest.Exchange{Request: request}.Run()
		}
	})
	b.Run("probe", func(b *testing.B) {
		r := newRig(b, wasmhost.Options{}, probe(b, "probe", ""))
		w := r.Workers()[0]
		b.ReportAllocs()
		for b.Loop() {
			chaintest.Exchange{Request: request, Filters: w.Filters(), Do: w.Do}.Run()
		}
	})
}
