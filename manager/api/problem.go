package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
)

// problemTypes begins the type of every problem that has one of its own.
const problemTypes = "urn:keyward:problem:"

// newProblem is how huma makes an error. It never repeats the value that was at
// fault, which may be a secret in the wrong place.
func newProblem(status int, detail string, errs ...error) huma.StatusError {
	p := &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
	for _, err := range errs {
		var d huma.ErrorDetailer
		switch {
		case err == nil:
		case errors.As(err, &d):
			e := d.ErrorDetail()
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: e.Message, Location: e.Location})
		default:
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: err.Error()})
		}
	}
	return p
}

var kinds = []struct {
	err    error
	status int
	name   string
}{
	{manager.ErrNotFound, http.StatusNotFound, "not-found"},
	{manager.ErrExists, http.StatusConflict, "exists"},
	{manager.ErrDeleted, http.StatusConflict, "deleted"},
	{manager.ErrVersion, http.StatusPreconditionFailed, "version"},
	{manager.ErrState, http.StatusConflict, "state"},
	{manager.ErrLimit, http.StatusConflict, "limit"},
	{manager.ErrForbidden, http.StatusForbidden, "forbidden"},
	{manager.ErrKeyReused, http.StatusUnprocessableEntity, "idempotency-key-reused"},
	{manager.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{errNoVersion, http.StatusPreconditionRequired, "if-match-required"},
	{errNoKeeper, http.StatusNotImplemented, "no-keeper"},
	{errNoCompiler, http.StatusNotImplemented, "no-compiler"},
}

// problem turns what a handler returned into what a caller may see.
func (a *API) problem(ctx context.Context, err error) error {
	var own huma.StatusError
	if errors.As(err, &own) {
		return own
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			p := &huma.ErrorModel{
				Type: problemTypes + k.name, Status: k.status, Title: http.StatusText(k.status), Detail: err.Error(),
			}
			p.Errors = details(err)
			return p
		}
	}
	status := http.StatusInternalServerError
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusServiceUnavailable
	}
	id := requestID(ctx)
	a.log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request", id), slog.Any("error", err))
	return newProblem(status, "request "+id+" failed; the Manager's log says why")
}

// details lists the fields, or the places of a policy, that are at fault.
func details(err error) []*huma.ErrorDetail {
	var field *manager.FieldError
	if errors.As(err, &field) {
		return []*huma.ErrorDetail{{Location: "body." + field.Field, Message: field.Why}}
	}
	var policy *manager.PolicyError
	var list []*huma.ErrorDetail
	if errors.As(err, &policy) {
		for _, f := range policy.Faults {
			list = append(list, &huma.ErrorDetail{Location: "body.modules." + f.File, Message: f.String()})
		}
	}
	return list
}

// writeProblem answers a request that no operation was found for, or none yet.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(newProblem(status, detail)) // the client is gone
}
