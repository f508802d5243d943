// Package channel serves gateways: they keep a request open here and hear at
// once of every change. Package plugins/changes has the contract.
package channel

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"keyward/manager"
	"keyward/manager/limit"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/plugins/record"
)

// lookAgain is how often a request that waits looks at the store unasked.
const lookAgain = 2 * time.Second

// Options of a channel.
type Options struct {
	Key  ed25519.PrivateKey // signs answers
	Log  *slog.Logger       // nil: slog.Default
	Now  func() time.Time   // nil: time.Now
	Stop <-chan struct{}    // closed: open requests end; nil: never
}

// A Channel is the handler of the gateways' listener.
type Channel struct {
	store    *store.Store
	opt      Options
	mux      *http.ServeMux
	pages    *pages
	seen     *seen
	failures *limit.Limiter
}

// New returns the channel of a store.
func New(s *store.Store, opt Options) *Channel {
	opt.Log = cmp.Or(opt.Log, slog.Default())
	if opt.Now == nil {
		opt.Now = time.Now
	}
	c := &Channel{store: s, opt: opt, mux: http.NewServeMux(), pages: newPages(sessionKey(opt.Key)), seen: newSeen(s, opt.Now), failures: limit.New()}
	c.Handle("GET "+changes.Path, c.changes)
	c.Handle("POST "+record.Path, c.records)
	return c
}

// Handle serves a pattern to gateways that show their token; gateway is the id
// of the one that asks.
func (c *Channel) Handle(pattern string, handle func(w http.ResponseWriter, r *http.Request, gateway string)) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		// As at the API: a flood of wrong tokens costs no look-ups, and locks nobody
		// out whose token was right before.
		secret, ok := bearer(r)
		if wait := c.failures.Wait(limit.Network(r.RemoteAddr), c.opt.Now()); wait > 0 && !(ok && c.failures.Known(secret)) {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			refuse(w, http.StatusTooManyRequests, "too many requests with wrong tokens")
			return
		}
		gateway, err := c.authenticate(r)
		if err != nil {
			c.refuseToken(w, r, err)
			return
		}
		c.failures.Succeed(secret)
		handle(w, r, gateway)
	})
}

func (c *Channel) refuseToken(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, manager.ErrForbidden) {
		c.fail(r.Context(), w, err)
		return
	}
	secret, _ := bearer(r)
	c.failures.Fail(limit.Network(r.RemoteAddr), secret, c.opt.Now())
	w.Header().Set("WWW-Authenticate", `Bearer realm="keyward gateways"`)
	refuse(w, http.StatusUnauthorized, "send a valid gateway token as Authorization: Bearer")
}

// ServeHTTP serves gateways.
func (c *Channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	c.mux.ServeHTTP(w, r)
}

func (c *Channel) authenticate(r *http.Request) (string, error) {
	secret, ok := bearer(r)
	if !ok {
		return "", manager.ErrForbidden
	}
	return c.store.AuthenticateGateway(r.Context(), secret)
}

func bearer(r *http.Request) (string, bool) {
	secret := manager.Bearer(r.Header.Values("Authorization"))
	return secret, manager.ValidSecret(manager.GatewayPrefix, secret)
}

// changes answers what changed since what a gateway has, or waits for it.
func (c *Channel) changes(w http.ResponseWriter, r *http.Request, gateway string) {
	ctx := r.Context()
	q, err := changes.ParseRequest(r.URL.RawQuery, r.Header.Get(changes.NonceHeader))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	// Who has nothing and does not say who it is confirms nothing, and nobody need
	// wait for it.
	if q.Epoch == "" && q.Instance == "" {
		c.answer(w, r, q)
		return
	}
	if err := c.seen.note(ctx, gateway, manager.GatewayInstance{ID: q.Instance, Build: q.Build, Epoch: q.Epoch, Confirmed: q.Since}); err != nil {
		c.fail(ctx, w, err)
		return
	}
	c.answer(w, r, q)
}

// answer answers a question, at once or when there is something to tell.
func (c *Channel) answer(w http.ResponseWriter, r *http.Request, q changes.Request) {
	ctx := r.Context()
	if q.Cursor != "" {
		c.next(w, r, q)
		return
	}
	wait := time.NewTimer(time.Duration(q.Wait) * time.Second)
	defer wait.Stop()
	// A Manager that lost touch with the others still sees what they changed.
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		changed := c.store.Changed()
		set, err := c.pages.since(ctx, c.store, q, c.opt.Stop)
		if err != nil {
			c.fail(ctx, w, err)
			return
		}
		if set != nil {
			// What changed may be this gateway's token.
			if _, err := c.authenticate(r); err != nil {
				c.refuseToken(w, r, err)
				return
			}
			if err := c.page(w, r, q, set, 0); err != nil {
				c.fail(ctx, w, err)
			}
			return
		}
		select {
		case <-changed:
		case <-again.C:
		case <-wait.C:
			c.unchanged(w, q)
			return
		case <-ctx.Done():
			return
		case <-c.opt.Stop:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "the Manager is stopping")
			return
		}
	}
}

// next answers with a page after the first.
func (c *Channel) next(w http.ResponseWriter, r *http.Request, q changes.Request) {
	set, i := c.pages.at(q.Cursor)
	if set == nil {
		refuse(w, http.StatusGone, "this page is no longer kept; begin again without a cursor")
		return
	}
	if err := c.page(w, r, q, set, i); err != nil {
		c.fail(r.Context(), w, err)
	}
}

func (c *Channel) fail(ctx context.Context, w http.ResponseWriter, err error) {
	if ctx.Err() != nil {
		return // the gateway is gone
	}
	c.opt.Log.LogAttrs(ctx, slog.LevelError, "gateway request failed", slog.Any("error", err))
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "the Manager can't read its store; its log says why")
}
