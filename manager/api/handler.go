package api

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// An outcome is what the log and the metrics say of a request.
type outcome struct {
	http.ResponseWriter
	status int
	actor  string
}

func (o *outcome) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *outcome) Write(b []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	return o.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (o *outcome) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func outcomeOf(ctx context.Context) *outcome {
	o, _ := ctx.Value(outcomeKey).(*outcome)
	return o
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// ServeHTTP serves the API.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	o := &outcome{ResponseWriter: w}
	id := strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	ctx = context.WithValue(context.WithValue(ctx, requestIDKey, id), outcomeKey, o)
	r = r.WithContext(ctx)
	h := w.Header()
	h.Set("Keyward-Request", id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")

	a.route(o, r)

	pattern := r.Pattern
	if pattern == "" {
		pattern = "none"
	}
	took := time.Since(start)
	a.metrics.requests.WithLabelValues(pattern, strconv.Itoa(o.status)).Inc()
	a.metrics.seconds.WithLabelValues(pattern).Observe(took.Seconds())
	a.log.LogAttrs(ctx, slog.LevelInfo, "request",
		slog.String("request", id), slog.String("operation", pattern), slog.String("path", r.URL.Path),
		slog.Int("status", o.status), slog.String("actor", o.actor), slog.Duration("took", took))
}

// route serves a request, and turns panics and the mux' own errors into
// problems.
func (a *API) route(o *outcome, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			id := requestID(r.Context())
			a.log.LogAttrs(r.Context(), slog.LevelError, "request panicked",
				slog.String("request", id), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			if o.status == 0 {
				writeProblem(o, http.StatusInternalServerError, "request "+id+" failed; the Manager's log says why")
			}
		}
	}()
	if handler, pattern := a.mux.Handler(r); pattern == "" {
		e := muxError{header: o.Header()}
		handler.ServeHTTP(&e, r)
		writeProblem(o, e.status, strings.ToLower(http.StatusText(e.status)))
		return
	}
	if r.ContentLength != 0 && !jsonBody(r) {
		writeProblem(o, http.StatusUnsupportedMediaType, "send application/json, in UTF-8 and not compressed")
		return
	}
	r.Body = http.MaxBytesReader(o, r.Body, maxBody)
	a.mux.ServeHTTP(o, r)
}

func jsonBody(r *http.Request) bool {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/json") && r.Header.Get("Content-Encoding") == ""
}

// A muxError takes what the mux answers without a handler, but for its body.
type muxError struct {
	header http.Header
	status int
}

func (e *muxError) Header() http.Header         { return e.header }
func (e *muxError) Write(b []byte) (int, error) { return len(b), nil }
func (e *muxError) WriteHeader(status int)      { e.status = status }
