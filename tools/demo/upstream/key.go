package upstream

import (
	"crypto/subtle"
	"net/http"
	"sync/atomic"
)

// A Counter counts the requests that got past the key check, and those that
// did not.
type Counter struct{ Accepted, Refused atomic.Int64 }

// requireKey lets a request through that carries key as its bearer token.
func requireKey(key string, count *Counter, next http.Handler) http.Handler {
	want := []byte("Bearer " + key)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			count.Refused.Add(1)
			http.Error(w, "this upstream accepts its real key only", http.StatusUnauthorized)
			return
		}
		count.Accepted.Add(1)
		next.ServeHTTP(w, r)
	})
}
