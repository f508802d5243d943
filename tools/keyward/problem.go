package main

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"

	"keyward/manager"
	"keyward/manager/client"
)

// Exit codes, which scripts may rely on.
const (
	exitFailed    = 1 // anything else
	exitForbidden = 3 // the token does not allow it
	exitNotFound  = 4
	exitConflict  = 5 // it exists, was changed by somebody else, or its state does not allow it
	exitInvalid   = 6 // the Manager did not take what was sent
	exitWaiting   = 7 // changed, but not yet confirmed by every gateway
)

// errWaiting is why a command that waits gave up.
var errWaiting = errors.New("changed, but not confirmed yet")

// exitCode tells how a command that failed ends.
func exitCode(err error) int {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errWaiting, exitWaiting},
		{manager.ErrForbidden, exitForbidden},
		{manager.ErrNotFound, exitNotFound},
		{manager.ErrExists, exitConflict},
		{manager.ErrDeleted, exitConflict},
		{manager.ErrVersion, exitConflict},
		{manager.ErrState, exitConflict},
		{manager.ErrLimit, exitConflict},
		{manager.ErrInvalid, exitInvalid},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return exitFailed
}

// A hinted error also says what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Error() string { return h.error.Error() + "\nhint: " + h.hint }

func (h hinted) Unwrap() error { return h.error }

// explain adds a hint to an error of the API, where there is one to give.
func explain(err error) error {
	var (
		p         *client.Error
		transport *url.Error
		authority x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &authority):
		return hinted{err, "name the Manager's certificate authority with --ca-file or $" + envCAFile}
	case errors.As(err, &transport):
		return hinted{err, "is the Manager running there? --manager or $" + envManager + " says where"}
	case !errors.As(err, &p):
		return err
	case p.Status == http.StatusUnauthorized:
		return hinted{err, "the token is unknown or has ended; `keyward manager admin-token` makes one beside the store"}
	case p.Status == http.StatusForbidden:
		return hinted{err, "this takes a token with a higher role"}
	case p.Status == http.StatusTooManyRequests:
		return hinted{err, "wait a minute: there were too many wrong tokens"}
	case errors.Is(err, manager.ErrVersion):
		return hinted{err, "look at it again, and repeat the change if it is still wanted"}
	default:
		return err
	}
}
