package unseal

import (
	"encoding/binary"
	"slices"

	"keyward/plugins/snapshot"
)

// A Binding is what a ciphertext is good for.
type Binding struct {
	Credential string
	Version    uint64
	Clusters   []string // where it may go; their order does not matter
	Hosts      []string
}

// For returns the binding of a credential as it stands in a snapshot.
func For(c *snapshot.Credential) Binding {
	return Binding{c.ID, c.Version, c.Upstream.Clusters, c.Upstream.Hosts}
}

// Bytes is the binding as additional authenticated data: each field with its
// length before it, so that no two bindings look the same.
func (b Binding) Bytes() []byte {
	out := field(nil, b.Credential)
	out = binary.BigEndian.AppendUint64(out, b.Version)
	for _, list := range [...][]string{b.Clusters, b.Hosts} {
		list = slices.Compact(slices.Sorted(slices.Values(list)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(list)))
		for _, s := range list {
			out = field(out, s)
		}
	}
	return out
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
