package files

import (
	"encoding/json"
	"errors"
	"net/http"

	"keyward/manager"
	"keyward/manager/files/wire"
)

var errMethod = errors.New("this method means nothing here")

func isNotFound(err error) bool { return errors.Is(err, manager.ErrNotFound) }

// statusOf is what a client is told of an error.
func statusOf(err error) (status int, detail string) {
	for _, k := range []struct {
		err    error
		status int
	}{
		{manager.ErrForbidden, http.StatusForbidden},
		{manager.ErrNotFound, http.StatusNotFound},
		{manager.ErrVersion, http.StatusPreconditionFailed},
		{manager.ErrInvalid, http.StatusUnprocessableEntity},
		{manager.ErrState, http.StatusConflict},
		{errMethod, http.StatusMethodNotAllowed},
	} {
		if errors.Is(err, k.err) {
			return k.status, err.Error()
		}
	}
	if errors.Is(err, manager.ErrUnavailable) {
		return http.StatusServiceUnavailable, "the object store does not answer"
	}
	return http.StatusInternalServerError, "the Manager's log says why"
}

// refuse answers with a problem document (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	b, err := json.Marshal(wire.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil {
		b = nil
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone
}
