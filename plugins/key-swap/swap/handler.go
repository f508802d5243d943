package swap

import (
	"keyward/plugins/filter"
	"keyward/plugins/key-swap/redact"
	"keyward/plugins/live"
	"keyward/plugins/refusal"
	"keyward/plugins/snapshot"
	"keyward/plugins/verdict"
	"keyward/policies"
)

// A handler takes one stream through three states: not let go, let go without a
// key, let go with a key that is to be redacted.
type handler struct {
	p *plugin
	s filter.Stream

	verdict  verdict.Verdict
	style    refusal.Style
	passed   bool    // the request may go on
	key      *opened // what was injected; nil: nothing is redacted
	place    place   // where in the request's headers it stands
	answer   *redact.Scanner
	scanner  redact.Scanner // the answer's
	trailing bool           // trailers are expected behind the answer's body
	cut      bool           // the answer was refused
}

// A refused says why a request or an answer is refused: with a reason for the
// client, and words for the log that hold no secret and no client's bytes.
type refused struct {
	reason policies.Reason
	why    string
}

// RequestHeaders lets a request go on, with the key in it, or refuses it.
func (h *handler) RequestHeaders(bool) filter.Action {
	defer h.unlessPassed() // a panic too
	if r := h.request(); r != nil {
		h.takeBack() // before the reply, which may be logged at once
		return h.refuse(r)
	}
	h.passed = true
	return filter.Continue
}

func (h *handler) unlessPassed() {
	if !h.passed {
		h.takeBack()
	}
}

// takeBack removes the key from the headers of a request that is refused: an
// access log would find it there. Of one that was let go no host lets a plugin
// change them any more.
func (h *handler) takeBack() {
	switch p := h.place; {
	case p.name == "":
		return
	case p.before == "":
		_ = h.s.RemoveHeader(filter.Request, p.name)
	default:
		_ = h.s.SetHeader(filter.Request, p.name, p.before)
	}
	h.place = place{}
}

func (h *handler) request() *refused {
	entries, r := h.p.inForce()
	if r != nil {
		return r
	}
	target, r := h.decided(entries)
	if r != nil {
		return r
	}
	headers, err := h.s.Headers(filter.Request)
	if err != nil {
		return &refused{policies.Internal, "headers can't be read"}
	}
	req := request{s: h.s, headers: headers}
	req.read()
	if h.verdict.Credential == "" {
		return req.strip(nil)
	}
	c, ok := entries.Credential(h.verdict.Credential)
	if !ok || target.Inject == nil {
		return &refused{policies.NoCredential, "the credential is not in the snapshot"}
	}
	if r := req.toHosts(target.Upstream, c.Upstream); r != nil {
		return r
	}
	o := h.p.open(c)
	if o.err != nil {
		return &refused{policies.NoCredential, o.err.Error()}
	}
	if r := req.strip(target.Inject); r != nil {
		return r
	}
	o.acquire()
	h.key = o
	if h.place, r = req.inject(target.Inject, o); r != nil {
		return r
	}
	// A changed header makes hosts choose the route again. So where the request
	// goes is asked when nothing more changes, and before anything goes out; a
	// refusal takes the key back.
	return req.toClusters(target.Upstream, c.Upstream)
}

// decided reads gate's verdict and holds it against what is in force here: gate
// and this plugin may be at different generations.
func (h *handler) decided(entries live.Entries) (*snapshot.Target, *refused) {
	b, err := h.s.Property(verdictsName...)
	if err != nil {
		return nil, &refused{policies.NoVerdict, "no verdict"}
	}
	if h.verdict, err = verdict.Decode(b); err != nil {
		return nil, &refused{policies.NoVerdict, "the verdict can't be read"}
	}
	target, ok := entries.TargetByID(h.verdict.Target)
	if !ok {
		return nil, &refused{policies.NoVerdict, "the verdict's target is not in the snapshot"}
	}
	if target.Kind == policies.KindLLM {
		h.style = refusal.LLM
	}
	consumer, ok := entries.ConsumerByID(h.verdict.Consumer)
	if !ok || consumer.State != snapshot.Active {
		return nil, &refused{policies.NoVerdict, "the verdict's consumer is not active in the snapshot"}
	}
	if snapshot.CredentialFor(consumer, target) != h.verdict.Credential {
		return nil, &refused{policies.NoVerdict, "the verdict's credential is not the one for this consumer and target"}
	}
	return target, nil
}

// RequestBody passes the body of a request that was let go. The module does not
// export it, nor the next, as they decide nothing: a host keeps back what follows
// headers that were refused.
func (h *handler) RequestBody(int, bool) filter.Action { return h.RequestTrailers() }

// RequestTrailers passes the trailers of a request that was let go.
func (h *handler) RequestTrailers() filter.Action {
	if !h.passed {
		return filter.Hold
	}
	return filter.Continue
}

// Done gives the key back.
func (h *handler) Done() {
	p := h.p
	if h.key != nil {
		h.key.release()
	}
	*h = handler{}
	p.spare.Put(h)
}

// refuse answers in the upstream's place, or cuts an answer under way.
func (h *handler) refuse(r *refused) filter.Action {
	h.cut = true
	line := "key-swap: refused: reason=" + string(r.reason) + " target=" + h.verdict.Target + " decision=" + h.verdict.Decision + " why=" + r.why
	h.p.host.Log(filter.Warn, line)
	if err := h.s.Reply(refusal.New(h.style, r.reason, h.verdict.Decision)); err != nil {
		h.p.host.Log(filter.Error, "key-swap: the host can't answer; the stream is held")
	}
	return filter.Hold
}
