package message

import (
	"strconv"

	"keyward/policies"
)

// A Digest counts entries that are alike and are not shown one by one.
type Digest struct {
	Kind     Kind   `json:"kind"`
	Consumer string `json:"consumer,omitempty"`
	Target   string `json:"target,omitempty"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason,omitempty"`
	Count    int    `json:"count"`
	Tokens   uint64 `json:"tokens,omitempty"` // that models took for them, as far as is known
	First    uint64 `json:"first"`            // index of the first entry counted
	Last     uint64 `json:"last"`
}

// A likeness is what entries of one digest share.
type likeness struct {
	kind             Kind
	consumer, target string
	verdict          policies.Verdict
	reason           policies.Reason
}

func like(e Entry) likeness {
	return likeness{e.Kind, e.Consumer, e.Target, e.Verdict, e.Reason}
}

func digestOf(e Entry) *Digest {
	return &Digest{
		Kind: e.Kind, Verdict: e.Verdict.String(),
		Consumer: Text(e.Consumer, maxName), Target: Text(e.Target, maxName), Reason: Text(string(e.Reason), maxName),
		First: e.Index,
	}
}

// counted says what a digest counts.
var counted = map[Kind]string{LLM: " LLM requests ", Answer: " LLM answers that took longer", Auth: " requests without a valid token ", Matrix: " Matrix requests "}

// lineOfDigest renders a count of entries like e.
func lineOfDigest(e Entry, d *Digest) *line {
	l := new(line)
	what := "📊 " + strconv.Itoa(d.Count) + counted[e.Kind]
	if e.Kind != Answer {
		what += sign(e.Verdict)
	}
	l.strong(what)
	l.foreign(" · ", e.Consumer, maxName)
	l.foreign(" · ", e.Target, maxName)
	if e.Reason != policies.ReasonNone {
		l.own(" · because ")
		l.foreign("", string(e.Reason), maxName)
	}
	l.tokens(d.Tokens)
	return l
}
