package live

import (
	"errors"

	"keyward/plugins/filter"
)

// Bounds of what one VM keeps decoded of one kind of entry. Beyond them the
// cache starts anew, which costs some microseconds an entry.
const (
	maxCached      = 4096
	maxCachedBytes = 1 << 20 // in shared form; decoded some times that
)

// A cache keeps entries of one kind decoded. It is not generic, as each kind
// would have its own copy in a plugin.
type cache struct {
	kind    string
	decode  func([]byte) (any, error) // to a pointer
	entries map[string]*cached
	bytes   int
}

type cached struct {
	value  any
	cas    uint32
	newest bool  // there was no version to come
	at     point // that it was last looked at
	size   int
}

func newCache[T any](kind string, decode func([]byte) (*T, error)) *cache {
	return &cache{kind: kind, decode: func(b []byte) (any, error) { return decode(b) }}
}

// find is [cache.get] of a cache of T.
func find[T any](c *cache, s *space, p point, id string) (*T, error) {
	v, err := c.get(s, p, id)
	t, _ := v.(*T)
	return t, err
}

func (c *cache) clear() { c.entries, c.bytes = nil, 0 }

// get is the entry of id at p; nil when there is none. It asks the host once for
// each p. Entries that are not there are not kept, as any number of them can be
// asked for.
func (c *cache) get(s *space, p point, id string) (any, error) {
	e := c.entries[id]
	if e != nil && e.at == p {
		return e.value, nil
	}
	key := c.kind + id
	stored, cas, err := s.shared.Shared(s.prefix + key)
	if err != nil {
		c.drop(id)
		if errors.Is(err, filter.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	if e != nil && e.cas == cas && e.newest && e.at.life == p.life {
		e.at = p
		return e.value, nil
	}
	c.drop(id)
	value, err := s.verify(key, stored)
	if err != nil {
		return nil, err
	}
	versions, ok := decodeEntry(value)
	if !ok {
		return nil, errForged
	}
	i := at(versions, p)
	if i < 0 || versions[i].payload == nil {
		return nil, nil
	}
	e = &cached{cas: cas, newest: i == len(versions)-1, at: p, size: len(stored)}
	if e.value, err = c.decode(versions[i].payload); err != nil {
		return nil, err
	}
	c.add(id, e)
	return e.value, nil
}

func (c *cache) add(id string, e *cached) {
	if c.entries == nil || len(c.entries) >= maxCached || c.bytes+e.size > maxCachedBytes {
		c.entries, c.bytes = make(map[string]*cached), 0
	}
	c.entries[id] = e
	c.bytes += e.size
}

func (c *cache) drop(id string) {
	if e := c.entries[id]; e != nil {
		c.bytes -= e.size
		delete(c.entries, id)
	}
}
