package channel

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"keyward/plugins/changes"
)

// page answers with page i of a set. A state is whole with the last page, unless
// the Manager's has moved on while the pages were read: then the gateway asks for
// what changed since, and serves nothing that may be revoked already.
func (c *Channel) page(w http.ResponseWriter, r *http.Request, q changes.Request, s *set, i int) error {
	ctx := r.Context()
	p, last, err := s.page(ctx, i)
	if err != nil {
		return err
	}
	a := changes.Answer{Status: http.StatusOK}
	if a.Body, err = p.body(); err != nil {
		return err
	}
	switch {
	case !last:
		a.Cursor = s.id + "." + strconv.Itoa(i+1)
	case i == 0:
		a.Consistent = true
	default:
		st, err := c.store.Generation(ctx)
		if err != nil {
			return err
		}
		a.Consistent = st.Epoch == s.now && st.Generation == s.at()
	}
	c.sign(w, q, a)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Vary", "Accept-Encoding")
	body := a.Body
	if p.compressed() && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = p.kept
	}
	_, _ = w.Write(body) // the gateway is gone
	return nil
}

// unchanged answers that nothing changed.
func (c *Channel) unchanged(w http.ResponseWriter, q changes.Request) {
	c.sign(w, q, changes.Answer{Status: http.StatusNoContent, Consistent: true})
	w.WriteHeader(http.StatusNoContent)
}

func (c *Channel) sign(w http.ResponseWriter, q changes.Request, a changes.Answer) {
	h := w.Header()
	h.Set(changes.SignatureHeader, changes.Sign(c.opt.Key, q, a))
	if a.Cursor != "" {
		h.Set(changes.CursorHeader, a.Cursor)
	}
	if a.Consistent {
		h.Set(changes.ConsistentHeader, "true")
	}
}

// refuse answers with a problem document (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	b, err := json.Marshal(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
	if err != nil {
		b = nil
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the gateway is gone
}
