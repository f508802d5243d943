package filesync

import (
	"maps"
	"slices"
)

// A mode says in which directions changes go.
type mode struct{ pull, push bool }

// The modes.
var (
	modePull = mode{pull: true}
	modePush = mode{push: true}
	modeSync = mode{pull: true, push: true}
)

// A deed is what is to be done with one file.
type deed string

// The deeds. All but record and forget are told to the user.
const (
	record       deed = "record"        // both are alike: keep that
	forget       deed = "forget"        // neither is there any more
	pull         deed = "pull"          //
	push         deed = "push"          //
	deleteHere   deed = "delete here"   //
	deleteThere  deed = "delete there"  //
	conflict     deed = "conflict"      // both have changed
	waitsForPull deed = "changed there" // and this run does not pull
	waitsForPush deed = "changed here"  // and this run does not push
)

// A step is a deed with one file, and what it is based on. ETags are empty for
// what is not there.
type step struct {
	name        string
	do          deed
	here, there string
}

// plan compares what was alike (base), the folder (here) and the store (there), by
// name to ETag, and says what is to be done, in the order of names.
//
// What changed on one side goes to the other. An edit wins over a deletion. What
// changed on both sides to the same is alike; otherwise it is a conflict.
func plan(m mode, base, here, there map[string]string) []step {
	names := maps.Clone(base)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, here)
	maps.Copy(names, there)
	var steps []step
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := step{name: name, here: here[name], there: there[name]}
		if s.do = decide(m, base[name], s.here, s.there); s.do != "" {
			steps = append(steps, s)
		}
	}
	return steps
}

func decide(m mode, base, here, there string) deed {
	changedHere, changedThere := here != base, there != base
	switch {
	case here == there && here == "":
		return forget
	case here == there && changedHere:
		return record
	case here == there:
		return ""
	case changedHere && changedThere && here != "" && there != "":
		return conflict
	case changedThere && there != "": // unchanged or deleted here
		return m.do(pull)
	case changedHere && here != "": // unchanged or deleted there
		return m.do(push)
	case changedThere:
		return m.do(deleteHere)
	default:
		return m.do(deleteThere)
	}
}

// do is d where the mode allows it.
func (m mode) do(d deed) deed {
	switch d {
	case pull, deleteHere:
		if !m.pull {
			return waitsForPull
		}
	case push, deleteThere:
		if !m.push {
			return waitsForPush
		}
	}
	return d
}

// wipes reports whether a plan deletes all that is known to be in the store: the
// folder was emptied, or is another one.
func wipes(steps []step, base map[string]string) bool {
	n := 0
	for _, s := range steps {
		if s.do == deleteThere {
			n++
		}
	}
	return n > 1 && n == len(base)
}
