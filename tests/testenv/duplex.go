package testenv

import "net/http"

// Duplex lets a reverse proxy answer before it has read its request to the end.
// Without it net/http's server closes a request's body when the answer begins,
// and its transport, still looking there for more, then drops the connection to
// the server behind, in the middle of the answer.
func Duplex(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(rw).EnableFullDuplex() // HTTP/2 has it anyway, a recorder needs none
		proxy.ServeHTTP(rw, r)
	})
}
