package channel

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"

	"keyward/plugins/changes"
)

// minGzip is the size from which compression pays, in bytes.
const minGzip = 1 << 10

func (c *Channel) answer(w http.ResponseWriter, r *http.Request, q changes.Request, a changes.Answer) {
	h := w.Header()
	h.Set(changes.SignatureHeader, changes.Sign(c.opt.Key, q, a))
	if a.Cursor != "" {
		h.Set(changes.CursorHeader, a.Cursor)
	}
	if a.Consistent {
		h.Set(changes.ConsistentHeader, "true")
	}
	if a.Status == http.StatusNoContent {
		w.WriteHeader(a.Status)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Vary", "Accept-Encoding")
	if len(a.Body) < minGzip || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(a.Body) // the gateway is gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	if _, err := z.Write(a.Body); err == nil {
		_ = z.Close() // the gateway is gone
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
