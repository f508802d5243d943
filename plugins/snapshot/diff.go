package snapshot

import (
	"bytes"
	"errors"
	"slices"
)

// Errors of [Diff].
var (
	ErrOlder    = errors.New("the newer snapshot's generation is not the greater one")
	ErrNoPolicy = errors.New("a delta can't take the policy away")
	ErrNoKey    = errors.New("a delta can't take the session key away")
)

// Diff returns the delta that leads from one whole snapshot to a newer one of the
// same epoch. Both must be well formed. Errors are [ErrEpoch], [ErrOlder],
// [ErrNoPolicy] and [ErrNoKey].
func Diff(from, to *Snapshot) (*Snapshot, error) {
	switch {
	case from.Epoch != to.Epoch:
		return nil, ErrEpoch
	case from.Generation >= to.Generation:
		return nil, ErrOlder
	case from.Policy != nil && to.Policy == nil:
		return nil, ErrNoPolicy
	case from.SessionKey != nil && to.SessionKey == nil:
		return nil, ErrNoKey
	}
	d := &Snapshot{Format: Format, Epoch: to.Epoch, Generation: to.Generation, Since: from.Generation}
	if to.Policy != nil && (from.Policy == nil || from.Policy.Version != to.Policy.Version || !bytes.Equal(from.Policy.Program, to.Policy.Program)) {
		d.Policy = to.Policy
	}
	if !bytes.Equal(from.SessionKey, to.SessionKey) {
		d.SessionKey = to.SessionKey
	}
	var gone Removed
	d.Targets, gone.Targets = changed(from.Targets, to.Targets, func(t *Target) string { return t.ID }, EncodeTarget)
	d.Consumers, gone.Consumers = changed(from.Consumers, to.Consumers, func(c *Consumer) string { return c.ID }, EncodeConsumer)
	d.Credentials, gone.Credentials = changed(from.Credentials, to.Credentials, func(c *Credential) string { return c.ID }, EncodeCredential)
	if len(gone.Targets)+len(gone.Consumers)+len(gone.Credentials) > 0 {
		d.Removed = &gone
	}
	return d, nil
}

// changed returns the entries of to that are not in from as they are, and the
// IDs of those in from that are not in to.
func changed[T any](from, to []T, id func(*T) string, encode func(*T) []byte) (list []T, gone []string) {
	old := make(map[string]*T, len(from))
	for i := range from {
		old[id(&from[i])] = &from[i]
	}
	for i := range to {
		was, ok := old[id(&to[i])]
		if !ok || !bytes.Equal(encode(was), encode(&to[i])) {
			list = append(list, to[i])
		}
		delete(old, id(&to[i]))
	}
	for g := range old {
		gone = append(gone, g)
	}
	slices.Sort(gone)
	return list, gone
}
