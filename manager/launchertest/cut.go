package launchertest

import (
	"io"
	"net/http"
	"sync/atomic"
)

// CutAfter passes requests on and, after some that change something, none of
// those any more: to whoever is behind h it is as if the caller were killed there.
func CutAfter(changes int, h http.Handler) http.Handler {
	var seen atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && seen.Add(1) > int64(changes) {
			_, _ = io.Copy(io.Discard, r.Body) // the caller is gone
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	})
}
