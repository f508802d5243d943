package snapshot

import (
	"cmp"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"

	"keyward/policies"
	"keyward/policies/engine"
)

// Encode writes s, which must be well formed, as [Decode] reads it. The same content gives the same bytes:
// entries go by ID, members in one order, without space.
func Encode(s *Snapshot) []byte {
	var w writer
	w.object(func() {
		w.text("format", s.Format)
		w.text("epoch", s.Epoch)
		w.uint("generation", s.Generation)
		w.uint("since", s.Since)
		if s.Policy != nil {
			w.name("policy")
			w.object(func() {
				w.text("version", s.Policy.Version)
				w.base64("program", s.Policy.Program)
			})
		}
		if s.SessionKey != nil {
			w.base64("session_key", s.SessionKey)
		}
		entries(&w, "targets", s.Targets, func(t *Target) string { return t.ID }, (*writer).target)
		entries(&w, "consumers", s.Consumers, func(c *Consumer) string { return c.ID }, (*writer).consumer)
		entries(&w, "credentials", s.Credentials, func(c *Credential) string { return c.ID }, (*writer).credential)
		if s.Removed != nil {
			w.name("removed")
			w.object(func() {
				w.strings("targets", slices.Sorted(slices.Values(s.Removed.Targets)))
				w.strings("consumers", slices.Sorted(slices.Values(s.Removed.Consumers)))
				w.strings("credentials", slices.Sorted(slices.Values(s.Removed.Credentials)))
			})
		}
	})
	return w.b
}

// EncodeTarget writes t as [DecodeTarget] reads it.
func EncodeTarget(t *Target) []byte { return encode((*writer).target, t) }

// EncodeConsumer writes c as [DecodeConsumer] reads it.
func EncodeConsumer(c *Consumer) []byte { return encode((*writer).consumer, c) }

// EncodeCredential writes c as [DecodeCredential] reads it.
func EncodeCredential(c *Credential) []byte { return encode((*writer).credential, c) }

func encode[T any](write func(*writer, *T), v *T) []byte {
	var w writer
	write(&w, v)
	return w.b
}

// A writer appends JSON. A member with an empty value is left out.
type writer struct {
	b []byte
}

func (w *writer) target(t *Target) {
	w.object(func() {
		w.text("id", t.ID)
		w.text("kind", string(t.Kind))
		w.labels(t.Labels)
		list := t.Match
		w.name("match")
		w.array(len(list), func(i int) {
			w.object(func() {
				w.text("route", list[i].Route)
				w.text("host", list[i].Host)
				w.text("path", list[i].Path)
			})
		})
		w.upstream(t.Upstream)
		w.text("credential", t.Credential)
		if i := t.Inject; i != nil {
			w.name("inject")
			w.object(func() {
				w.text("form", string(i.Form))
				w.text("name", i.Name)
				w.text("prefix", i.Prefix)
				w.text("username", i.Username)
			})
		}
		if m := t.MCP; m != nil {
			w.name("mcp")
			w.object(func() {
				w.strings("revisions", m.Revisions)
				w.strings("origins", m.Origins)
			})
		}
		w.audit(t.Audit)
	})
}

func (w *writer) upstream(u Upstream) {
	if len(u.Clusters) == 0 && len(u.Hosts) == 0 {
		return
	}
	w.name("upstream")
	w.object(func() {
		w.strings("clusters", u.Clusters)
		w.strings("hosts", u.Hosts)
	})
}

func (w *writer) consumer(c *Consumer) {
	w.object(func() {
		w.text("id", c.ID)
		w.text("kind", c.Kind)
		w.labels(c.Labels)
		w.text("state", string(c.State))
		if len(c.Tokens) > 0 {
			w.name("tokens")
			w.array(len(c.Tokens), func(i int) { w.token(&c.Tokens[i]) })
		}
		if len(c.Grants) > 0 {
			w.name("grants")
			w.array(len(c.Grants), func(i int) { w.grant(&c.Grants[i]) })
		}
		if len(c.Credentials) > 0 {
			w.name("credentials")
			members(w, c.Credentials, func(id string) { w.quote(id) })
		}
	})
}

func (w *writer) token(t *Token) {
	w.object(func() {
		w.text("id", t.ID)
		w.text("sha256", t.SHA256)
		w.int("expires", t.Expires)
		w.yes("revoked", t.Revoked)
	})
}

func (w *writer) grant(g *Grant) {
	w.object(func() {
		w.text("id", g.ID)
		w.text("target", g.Target)
		w.strings("tools", g.Tools)
		w.strings("prompts", g.Prompts)
		w.strings("resources", g.Resources)
		if len(g.Arguments) > 0 {
			w.name("arguments")
			members(w, g.Arguments, func(arguments map[string][]any) {
				members(w, arguments, func(values []any) { w.any(values) })
			})
		}
		w.strings("methods", g.Methods)
		w.strings("paths", g.Paths)
		w.int("expires", g.Expires)
	})
}

func (w *writer) credential(c *Credential) {
	w.object(func() {
		w.text("id", c.ID)
		w.uint("version", c.Version)
		w.upstream(c.Upstream)
		w.name("sealed")
		w.array(len(c.Sealed), func(i int) {
			w.object(func() {
				w.text("key", c.Sealed[i].Key)
				w.base64("data", c.Sealed[i].Data)
			})
		})
	})
}

func (w *writer) labels(m map[string]string) {
	if len(m) > 0 {
		w.name("labels")
		members(w, m, w.quote)
	}
}

func (w *writer) object(members func()) {
	w.b = append(w.b, '{')
	members()
	w.b = append(w.b, '}')
}

func (w *writer) array(n int, item func(int)) {
	w.b = append(w.b, '[')
	for i := range n {
		w.comma()
		item(i)
	}
	w.b = append(w.b, ']')
}

// comma separates from a value before it.
func (w *writer) comma() {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) name(s string) {
	w.comma()
	w.quote(s)
	w.b = append(w.b, ':')
}

// quote replaces what is not UTF-8, which [Decode] would refuse.
func (w *writer) quote(s string) { w.b = engine.AppendJSONString(w.b, s) }

func (w *writer) text(name, s string) {
	if s != "" {
		w.name(name)
		w.quote(s)
	}
}

func (w *writer) uint(name string, n uint64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendUint(w.b, n, 10)
	}
}

func (w *writer) yes(name string, b bool) {
	if b {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

func (w *writer) int(name string, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *writer) base64(name string, b []byte) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, b)
	w.b = append(w.b, '"')
}

func (w *writer) strings(name string, list []string) {
	if len(list) > 0 {
		w.name(name)
		w.array(len(list), func(i int) { w.quote(list[i]) })
	}
}

// any writes a value of the types that a well-formed grant has.
func (w *writer) any(v any) {
	switch v := v.(type) {
	case string:
		w.quote(v)
	case policies.Number:
		w.b = append(w.b, v...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case []any:
		w.array(len(v), func(i int) { w.any(v[i]) })
	case map[string]any:
		members(w, v, w.any)
	default:
		w.b = append(w.b, "null"...)
	}
}

// members writes a map by name.
func members[V any](w *writer, m map[string]V, value func(V)) {
	w.object(func() {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			w.name(name)
			value(m[name])
		}
	})
}

// entries writes a list by ID.
func entries[T any](w *writer, name string, list []T, id func(*T) string, write func(*writer, *T)) {
	if len(list) == 0 {
		return
	}
	order := make([]*T, len(list))
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortFunc(order, func(a, b *T) int { return cmp.Compare(id(a), id(b)) })
	w.name(name)
	w.array(len(order), func(i int) { write(w, order[i]) })
}
