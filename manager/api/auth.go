package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"keyward/manager"
	"keyward/manager/limit"
)

// A caller is who makes a request.
type caller struct {
	manager.Actor
	secret string // their token; keys for kept answers come from it
}

// An Identifier knows callers by tokens of somebody else's, such as an OpenID
// provider's.
type Identifier interface {
	// Identify returns who holds a token. [manager.ErrForbidden]: nobody whom it
	// knows; any other error says nothing of the token.
	Identify(ctx context.Context, token string) (manager.Actor, error)
}

// identify returns who sends a request. [manager.ErrForbidden]: nobody known.
func (a *API) identify(ctx context.Context, secret string) (manager.Actor, error) {
	switch {
	case manager.ValidSecret(manager.AdminPrefix, secret):
		return a.store.Authenticate(ctx, secret)
	case secret != "" && a.identifier != nil:
		return a.identifier.Identify(ctx, secret)
	default:
		return manager.Actor{}, manager.ErrForbidden
	}
}

type contextKey int

const (
	callerKey contextKey = iota
	requestIDKey
	outcomeKey
)

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey).(caller)
	return c
}

// roleName is where an operation says which role it needs.
const roleName = "x-keyward-role"

// authenticate lets a request on that carries a token of the role that its
// operation needs.
func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	need, ok := ctx.Operation().Extensions[roleName].(manager.Role)
	if !ok { // an operation that was not registered through read or write
		a.refuse(ctx, http.StatusForbidden, "no role may do this")
		return
	}
	secret := manager.Bearer(r.Header.Values("Authorization"))
	remote := limit.Network(r.RemoteAddr)
	// A flood of wrong tokens from one network is turned away without a look-up. A
	// token that was right before is looked up even then: others must not lock its
	// holder out.
	if wait := a.failures.Wait(remote, a.now()); wait > 0 && !a.failures.Known(secret) {
		a.metrics.denied.WithLabelValues("rate").Inc()
		ctx.SetHeader("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		a.refuse(ctx, http.StatusTooManyRequests, "too many requests with wrong tokens")
		return
	}
	who, err := a.identify(r.Context(), secret)
	switch {
	case errors.Is(err, manager.ErrForbidden):
		a.failures.Fail(remote, secret, a.now())
		a.metrics.denied.WithLabelValues("token").Inc()
		a.log.LogAttrs(r.Context(), slog.LevelWarn, "request without a valid token",
			slog.String("request", requestID(r.Context())), slog.String("remote", remote))
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="keyward"`)
		a.refuse(ctx, http.StatusUnauthorized, "send a valid token as Authorization: Bearer")
		return
	case err != nil:
		a.write(ctx, a.problem(r.Context(), err))
		return
	}
	a.failures.Succeed(secret)
	if o := outcomeOf(r.Context()); o != nil {
		o.actor = who.ID
	}
	if !who.Role.Includes(need) {
		a.metrics.denied.WithLabelValues("role").Inc()
		a.refuse(ctx, http.StatusForbidden, "this needs role "+string(need)+", the token has "+string(who.Role))
		return
	}
	if err := plainQuery(r.URL.RawQuery); err != nil {
		a.refuse(ctx, http.StatusUnprocessableEntity, err.Error())
		return
	}
	next(huma.WithValue(ctx, callerKey, caller{Actor: who, secret: secret}))
}

// plainQuery refuses parameters that are there twice or empty: a filter that is
// misread as absent shows more than was asked for.
func plainQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the query can't be read")
	}
	for _, v := range values {
		if len(v) != 1 || v[0] == "" {
			return errors.New("query parameters must be there once, and with a value")
		}
	}
	return nil
}

func (a *API) refuse(ctx huma.Context, status int, detail string) {
	a.write(ctx, newProblem(status, detail))
}

func (a *API) write(ctx huma.Context, err error) {
	var p huma.StatusError
	if errors.As(err, &p) {
		_, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.GetStatus())
		_ = strictJSON.Marshal(w, p) // the client is gone
	}
}
