package channel

import (
	"errors"
	"io"
	"net/http"

	"keyward/plugins/record"
)

// records takes a batch of what a gateway decided. 204 means that it is kept.
func (c *Channel) records(w http.ResponseWriter, r *http.Request, gateway string) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, record.MaxBytes))
	if err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			refuse(w, http.StatusRequestEntityTooLarge, "a batch is at most 2 MiB")
		}
		return // else the gateway is gone
	}
	batch, err := record.Decode(b)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := c.store.AppendRecords(r.Context(), gateway, batch.VM, batch.Records); err != nil {
		c.fail(r.Context(), w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
