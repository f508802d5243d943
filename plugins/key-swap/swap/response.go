package swap

import (
	"errors"
	"slices"
	"strings"

	"keyward/plugins/filter"
	"keyward/plugins/key-swap/redact"
	"keyward/policies"
)

// maxTrailingBytes bounds what is asked of the host when trailers come: it holds
// less than its own buffer limit.
const maxTrailingBytes = policies.MaxAnswerBytes

// redacts reports whether the answer is one to redact: that of an upstream which
// got a key. Our own refusal of a request passes here too.
func (h *handler) redacts() bool { return h.passed && h.key != nil }

// ResponseHeaders masks the key in an answer's headers, and refuses an answer
// whose body can't be searched for it.
func (h *handler) ResponseHeaders(end bool) filter.Action {
	if !h.redacts() {
		return filter.Continue
	}
	headers, err := h.s.Headers(filter.Response)
	if err != nil {
		return h.refuse(&refused{policies.AnswerRefused, "the answer's headers can't be read"})
	}
	for _, header := range headers {
		switch header[0] {
		case "content-encoding":
			if v := strings.TrimSpace(header[1]); !end && v != "" && !strings.EqualFold(v, "identity") {
				return h.refuse(&refused{policies.AnswerRefused, "the answer is encoded"})
			}
		case "trailer":
			h.trailing = true
		case "content-type":
			h.trailing = h.trailing || strings.HasPrefix(strings.ToLower(header[1]), "application/grpc")
		}
	}
	if r := h.redact(filter.Response, headers); r != nil {
		return h.refuse(r)
	}
	h.scanner = redact.MakeScanner(h.key.matcher)
	h.answer = &h.scanner
	return filter.Continue
}

// ResponseBody masks the key in a body. Its length stays, and so do headers that
// tell it.
func (h *handler) ResponseBody(size int, end bool) filter.Action {
	if !h.redacts() {
		return filter.Continue
	}
	if h.cut || h.answer == nil {
		return filter.Hold
	}
	body, r := h.body(size)
	if r != nil {
		return h.refuse(r)
	}
	if h.trailing {
		return h.holdBody(body, end)
	}
	if out, changed := h.answer.Next(body, end); changed {
		if h.s.ReplaceBody(filter.Response, out) != nil {
			return h.refuse(&refused{policies.AnswerRefused, "the answer's body can't be replaced"})
		}
	}
	return filter.Continue
}

// holdBody is for an answer with trailers. When they come a host takes no more
// body, so what is held back must stay with the host: all that it has, until
// there is no beginning of the key at its end.
func (h *handler) holdBody(body []byte, end bool) filter.Action {
	if !end && h.key.matcher.Open(body) {
		return filter.Hold
	}
	if h.key.matcher.Mask(body) && h.s.ReplaceBody(filter.Response, body) != nil {
		return h.refuse(&refused{policies.AnswerRefused, "the answer's body can't be replaced"})
	}
	return filter.Continue
}

// ResponseTrailers masks the key in trailers, and in what is held of the body.
func (h *handler) ResponseTrailers() filter.Action {
	if !h.redacts() {
		return filter.Continue
	}
	if h.cut || h.answer == nil {
		return filter.Hold
	}
	if h.answer.Held() > 0 {
		// Nothing announced these trailers. Rather no end than a wrong one.
		return h.refuse(&refused{policies.AnswerRefused, "the answer has trailers that it did not announce"})
	}
	if h.trailing {
		body, r := h.body(maxTrailingBytes)
		if r != nil {
			return h.refuse(r)
		}
		if len(body) > 0 && h.holdBody(body, true) == filter.Hold {
			return filter.Hold
		}
	}
	trailers, err := h.s.Headers(filter.ResponseTrailers)
	if err != nil && !errors.Is(err, filter.ErrNotFound) {
		return h.refuse(&refused{policies.AnswerRefused, "the answer's trailers can't be read"})
	}
	if r := h.redact(filter.ResponseTrailers, trailers); r != nil {
		return h.refuse(r)
	}
	return filter.Continue
}

// body is what the host holds of the answer's body; nil: nothing.
func (h *handler) body(size int) ([]byte, *refused) {
	if size == 0 {
		return nil, nil
	}
	body, err := h.s.Body(filter.Response, size)
	if err != nil && !errors.Is(err, filter.ErrNotFound) {
		return nil, &refused{policies.AnswerRefused, "the answer's body can't be read"}
	}
	return body, nil
}

// redact masks the key in every value of a side's headers, Location among them.
func (h *handler) redact(side filter.Side, headers [][2]string) *refused {
	var masked []string // names of headers that had the key
	for i, header := range headers {
		if strings.HasPrefix(header[0], ":") || !h.key.matcher.In(header[1]) {
			continue
		}
		value := []byte(header[1])
		h.key.matcher.Mask(value)
		headers[i][1] = string(value)
		if !slices.Contains(masked, header[0]) {
			masked = append(masked, header[0])
		}
	}
	if masked == nil {
		return nil
	}
	failed := &refused{policies.AnswerRefused, "a header of the answer can't be replaced"}
	for _, name := range masked {
		if h.s.RemoveHeader(side, name) != nil {
			return failed
		}
	}
	for _, header := range headers {
		if slices.Contains(masked, header[0]) && h.s.AddHeader(side, header[0], header[1]) != nil {
			return failed
		}
	}
	return nil
}
