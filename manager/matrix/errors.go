package matrix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"maunium.net/go/mautrix"
)

// maxAsked bounds the wait that a homeserver may ask for.
const maxAsked = time.Hour

// asked is how long a homeserver wants to be left alone; 0: it does not say so.
func asked(err error) time.Duration {
	var e mautrix.HTTPError
	if !errors.As(err, &e) || !e.IsStatus(http.StatusTooManyRequests) {
		return 0
	}
	d := time.Second
	if e.RespError != nil {
		if ms, ok := e.RespError.ExtraData["retry_after_ms"].(float64); ok && ms > 0 {
			d = time.Duration(min(ms, float64(maxAsked/time.Millisecond))) * time.Millisecond
		}
	}
	if s, err := strconv.Atoi(e.Response.Header.Get("Retry-After")); err == nil && s > 0 {
		d = max(d, time.Duration(min(s, int(maxAsked/time.Second)))*time.Second)
	}
	return min(d, maxAsked)
}

// refused reports whether the homeserver surely did not do what was asked. Of
// every other error it may have done it.
func refused(err error) bool {
	var e mautrix.HTTPError
	return errors.As(err, &e) && e.Response != nil && e.Response.StatusCode >= 400 && e.Response.StatusCode < 500
}

// down reports whether the homeserver did not answer, or not with sense.
func down(err error) bool {
	var e mautrix.HTTPError
	return errors.As(err, &e) && !refused(err) && !errors.Is(err, context.Canceled)
}

// gone reports whether a room is not there, or not for us.
func gone(err error) bool {
	return errors.Is(err, mautrix.MNotFound) || errors.Is(err, mautrix.MForbidden)
}

// brief is an error of the homeserver by its code: its text and body are not
// ours, and may be long.
func brief(err error) error {
	var e mautrix.HTTPError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.RespError != nil:
		return fmt.Errorf("homeserver answers %d %.64q", e.RespError.StatusCode, e.RespError.ErrCode)
	case e.Response != nil:
		return fmt.Errorf("homeserver answers %d", e.Response.StatusCode)
	default:
		return fmt.Errorf("homeserver does not answer: %w", e.WrappedError)
	}
}
