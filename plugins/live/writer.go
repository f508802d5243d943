package live

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
)

// errInterrupted reports that somebody else writes too, or did: what has been
// written is not put in force.
var errInterrupted = errors.New("the shared data were changed by another VM")

// A writer brings one whole snapshot or delta, in any number of pages, into the
// shared data. What it writes is in force with commit, and never without.
type writer struct {
	space *space
	from  state  // in force while it writes
	cas   uint32 // of from
	to    point
	whole bool
	// targets are the IDs of all targets, once some of them are written.
	targets []string
	now     int64
}

// newWriter begins to write. Without a state in force, or after a writer that
// did not come to its end, it has to be a whole snapshot; life is a random
// number for that case.
func newWriter(s *space, whole bool, life, generation uint64, now int64) (*writer, error) {
	from, cas, err := s.state()
	if err != nil && !errors.Is(err, filter.ErrNotFound) && !errors.Is(err, errForged) {
		return nil, err
	}
	w := &writer{space: s, from: from, cas: cas, whole: whole, to: point{life, generation}, now: now}
	if whole {
		return w, nil
	}
	if err != nil || from.writing || generation <= from.generation {
		return nil, errInterrupted
	}
	w.to.life = from.life
	mark := from
	mark.writing = true
	return w, w.setState(mark)
}

// setState replaces the state, if nobody else has. Serials follow the clock, so
// that they grow also over a state that somebody made unreadable.
func (w *writer) setState(st state) error {
	st.serial = max(w.from.serial+1, uint64(w.now))
	if w.space.put(kindState, w.cas, st.append) != nil {
		return errInterrupted
	}
	now, cas, err := w.space.state()
	if err != nil || now != st {
		return errInterrupted
	}
	w.from, w.cas = now, cas
	return nil
}

// add writes one page.
func (w *writer) add(page *snapshot.Page) error {
	for i := range page.Consumers {
		c := &page.Consumers[i]
		known := w.tokens(c.ID)
		if err := w.put(kindConsumer+c.ID, c.Text); err != nil {
			return err
		}
		for j := range c.Tokens {
			if slices.Contains(known, c.Tokens[j]) {
				continue
			}
			if err := w.put(kindToken+string(c.Tokens[j][:]), []byte(c.ID)); err != nil {
				return err
			}
		}
	}
	for i := range page.Credentials {
		if err := w.put(kindCredential+page.Credentials[i].ID, page.Credentials[i].Text); err != nil {
			return err
		}
	}
	if page.Policy != nil {
		if err := w.put(kindPolicy, encodePolicy(page.Policy)); err != nil {
			return err
		}
	}
	if err := w.addSessionKey(page.SessionKey); err != nil {
		return err
	}
	if page.Removed == nil {
		return w.addTargets(page.Targets, nil)
	}
	for _, id := range page.Removed.Consumers {
		if err := w.put(kindConsumer+id, nil); err != nil {
			return err
		}
	}
	for _, id := range page.Removed.Credentials {
		if err := w.put(kindCredential+id, nil); err != nil {
			return err
		}
	}
	return w.addTargets(page.Targets, page.Removed.Targets)
}

// tokens are the digests of a consumer's tokens as they are in force: what leads
// from them to it was written with it, and still does. In doubt there are none, and
// all are written.
func (w *writer) tokens(id string) [][32]byte {
	if w.whole {
		return nil // what there is is of another life
	}
	payload, err := w.inForce(kindConsumer + id)
	if err != nil || payload == nil {
		return nil
	}
	known, err := snapshot.TokenDigests(payload)
	if err != nil {
		return nil
	}
	return known
}

// addSessionKey writes the key only where it is another: the Manager tells it with
// every change.
func (w *writer) addSessionKey(key []byte) error {
	if key == nil {
		return nil
	}
	if !w.whole {
		if old, err := w.inForce(kindSessionKey); err != nil || bytes.Equal(old, key) {
			return err
		}
	}
	return w.put(kindSessionKey, key)
}

func (w *writer) addTargets(changed []snapshot.Entry, removed []string) error {
	if len(changed)+len(removed) == 0 {
		return nil
	}
	if w.targets == nil && !w.whole {
		payload, err := w.inForce(kindIndex)
		if err != nil {
			return err
		}
		w.targets = decodeIndex(payload)
	}
	if w.targets == nil {
		w.targets = []string{}
	}
	known := make(map[string]bool, len(w.targets))
	for _, id := range w.targets {
		known[id] = true
	}
	for i := range changed {
		t := &changed[i]
		if err := w.put(kindTarget+t.ID, t.Text); err != nil {
			return err
		}
		if !known[t.ID] {
			w.targets = append(w.targets, strings.Clone(t.ID)) // which outlives the page
		}
	}
	for _, id := range removed {
		if err := w.put(kindTarget+id, nil); err != nil {
			return err
		}
		w.targets = slices.DeleteFunc(w.targets, func(other string) bool { return other == id })
	}
	return nil
}

// commit puts in force what was written. The list of targets is written with
// every change to one of them, so that readers look at them.
func (w *writer) commit(epoch string) error {
	if w.whole || w.targets != nil {
		if err := w.put(kindIndex, encodeIndex(w.targets)); err != nil {
			return err
		}
	}
	return w.setState(state{point: w.to, contact: w.now, epoch: epoch})
}

// put adds a version to an entry, beside the one in force.
func (w *writer) put(key string, payload []byte) error {
	value, cas, err := w.space.get(key)
	var versions []version
	switch {
	case err == nil:
		old, ok := decodeEntry(value)
		if i := at(old, w.from.point); ok && i >= 0 {
			versions = append(versions, old[i])
		}
	case errors.Is(err, filter.ErrNotFound), errors.Is(err, errForged): // nothing to keep
	default:
		return err
	}
	if w.from.serial == 0 {
		versions = nil // nothing is in force
	}
	versions = append(versions, version{w.to, payload})
	if w.space.put(key, cas, func(b []byte) []byte { return appendEntry(b, versions) }) != nil {
		return errInterrupted
	}
	return nil
}

// inForce is the payload of an entry, nil when there is none.
func (w *writer) inForce(key string) ([]byte, error) {
	value, _, err := w.space.get(key)
	if errors.Is(err, filter.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	versions, ok := decodeEntry(value)
	if i := at(versions, w.from.point); ok && i >= 0 {
		return versions[i].payload, nil
	}
	return nil, nil
}
