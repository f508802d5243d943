package live

import (
	"errors"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A Reader is what one VM knows of the shared data. It costs a request one look
// at the state; entries are looked at again only after the generation changed.
// It is not safe for concurrent use.
type Reader struct {
	space    *space
	maxStale time.Duration
	log      func(string)

	state state
	cas   uint32            // of the state looked at last
	bad   policies.Reason   // why that one can't be used
	view  *View             // at the state; nil: none
	index *cache            // its one entry has the ID ""
	sets  *snapshot.Targets // of the index below
	setOf *[]string
	lists *cache

	policies    *cache // its one entry has the ID ""
	sessionKeys *cache // likewise
	consumers   *cache
	credentials *cache
	tokens      *cache
}

// NewReader reads what was written with the same gateway token for the same
// audience. Beyond maxStale
// without contact to the Manager nothing is in force. log gets a line for what
// can't be read.
func NewReader(shared filter.Sharer, token string, audience snapshot.Audience, maxStale time.Duration, log func(string)) *Reader {
	return &Reader{
		space: newSpace(shared, token, audience), maxStale: maxStale, log: log,
		index: newCache(kindIndex, func(b []byte) (*[]string, error) {
			ids := decodeIndex(b)
			return &ids, nil
		}),
		lists: newCache(kindTarget, snapshot.DecodeTarget),
		policies: newCache(kindPolicy, func(b []byte) (*snapshot.Policy, error) {
			if p, ok := decodePolicy(b); ok {
				return p, nil
			}
			return nil, errForged
		}),
		sessionKeys: newCache(kindSessionKey, func(b []byte) (*[]byte, error) { return &b, nil }),
		consumers:   newCache(kindConsumer, snapshot.DecodeConsumer),
		credentials: newCache(kindCredential, snapshot.DecodeCredential),
		tokens: newCache(kindToken, func(b []byte) (*string, error) {
			id := string(b)
			return &id, nil
		}),
	}
}

// View is what is in force now, Unix nanoseconds. Without one there is a reason:
// [policies.NoSnapshot] while nothing was ever written, and then begun is false.
func (r *Reader) View(now int64) (v *View, reason policies.Reason, begun bool) {
	stored, cas, err := r.space.shared.Shared(r.space.toState)
	if err != nil {
		return nil, policies.NoSnapshot, r.cas != 0
	}
	if cas != r.cas {
		r.cas, r.bad = cas, r.take(stored)
	}
	switch {
	case r.bad != policies.ReasonNone:
		return nil, r.bad, true
	case r.stale(now):
		return nil, policies.SnapshotStale, true
	}
	return r.view, policies.ReasonNone, true
}

// stale reports whether the last contact is too long ago. A clock that was put
// back as far tells nothing of how long ago that was.
func (r *Reader) stale(now int64) bool {
	age := time.Duration(now - r.state.contact)
	return age > r.maxStale || age < -r.maxStale
}

// take looks at a changed state.
func (r *Reader) take(stored []byte) policies.Reason {
	value, err := r.space.verify(kindState, stored)
	st, ok := decodeState(value)
	if err != nil || !ok {
		r.log("live: the state in the shared data is not authentic")
		return policies.NoSnapshot
	}
	if st.serial < r.state.serial || st.life == r.state.life && st.generation < r.state.generation {
		r.log("live: the state in the shared data was put back")
		return policies.NoSnapshot
	}
	old := r.state
	r.state = st
	if r.view != nil && st.point == old.point {
		return policies.ReasonNone
	}
	if st.life != old.life {
		r.forget()
	}
	return r.load()
}

// forget drops what belongs to a life that is over.
func (r *Reader) forget() {
	r.index.clear()
	r.lists.clear()
	r.policies.clear()
	r.sessionKeys.clear()
	r.consumers.clear()
	r.credentials.clear()
	r.tokens.clear()
	r.sets, r.setOf = nil, nil
}

// load makes the view at the state.
func (r *Reader) load() policies.Reason {
	r.view = nil
	index, err := find[[]string](r.index, r.space, r.state.point, "")
	if err != nil || index == nil {
		r.log("live: there is no list of targets in the shared data")
		return policies.NoSnapshot
	}
	if r.setOf != index || r.sets == nil {
		if err := r.loadTargets(*index); err != nil {
			r.log("live: targets: " + err.Error())
			return policies.NoSnapshot
		}
		r.setOf = index
	}
	policy, err := find[snapshot.Policy](r.policies, r.space, r.state.point, "")
	if err != nil {
		r.log("live: policy: " + err.Error())
		return policies.NoSnapshot
	}
	key, err := find[[]byte](r.sessionKeys, r.space, r.state.point, "")
	if err != nil {
		r.log("live: session key: " + err.Error())
		return policies.NoSnapshot
	}
	r.view = &View{r: r, point: r.state.point, epoch: r.state.epoch, targets: r.sets, policy: policy}
	if key != nil {
		r.view.sessionKey = *key
	}
	return policies.ReasonNone
}

var errNoTarget = errors.New("one of the list is not there")

func (r *Reader) loadTargets(ids []string) error {
	list := make([]*snapshot.Target, 0, len(ids))
	for _, id := range ids {
		t, err := find[snapshot.Target](r.lists, r.space, r.state.point, id)
		if err != nil {
			return err
		}
		if t == nil {
			return errNoTarget
		}
		list = append(list, t)
	}
	sets, err := snapshot.NewTargets(list)
	if err != nil {
		return err
	}
	r.sets = sets
	return nil
}
