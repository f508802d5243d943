// Package tracing sends spans of served requests to an OpenTelemetry collector
// (OTLP over HTTP, W3C Trace Context).
//
// A span holds a method, a status and ids that the log has too: no path of a
// Worker's request, no query, no header, no body. Sending never holds a request
// up; what the collector does not take in time is dropped, and counted by the
// SDK's own log.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Config says where spans go.
type Config struct {
	Endpoint string `yaml:"endpoint"` // URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318
	// Ratio is the part of traces that is kept, 0 to 1; 0: all. Whether a client
	// asks for its trace to be kept does not count.
	Ratio float64 `yaml:"ratio"`
}

// Validate checks c.
func (c *Config) Validate() error {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "":
		return fmt.Errorf("endpoint: %q is no plain http or https URL", c.Endpoint)
	case c.Ratio < 0 || c.Ratio > 1:
		return errors.New("ratio: must be 0 to 1")
	}
	return nil
}

// A Tracer traces for one service. A nil Tracer traces nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// wire is how traces go on from one service to the next.
var wire = propagation.TraceContext{}

// New returns a tracer of a service; with a nil Config, a nil one.
func New(ctx context.Context, c *Config, service string) (*Tracer, error) {
	if c == nil {
		return nil, nil
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	receiver, err := url.JoinPath(c.Endpoint, "v1", "traces")
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(receiver))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	ratio := c.Ratio
	if ratio == 0 {
		ratio = 1
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter),
		sdk.WithSampler(sdk.TraceIDRatioBased(ratio)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("keyward")}, nil
}

// Stop sends what is left, as long as ctx allows.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Handler serves each request in a span of the given name. The request's trace
// context becomes the span's, so that whatever the request is passed on to goes
// on from there.
func (t *Tracer) Handler(name string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := wire.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method(r.Method))))
		defer span.End()
		r = r.Clone(ctx)
		wire.Inject(ctx, propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(&answer{ResponseWriter: w, span: span}, r)
	})
}

// method is one that the specification of HTTP names; a client can send any.
func method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
		return m
	default:
		return "_OTHER"
	}
}

// Note adds ids to the span that ctx is in, given as name and value in turn.
func Note(ctx context.Context, pairs ...string) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			span.SetAttributes(attribute.String(pairs[i], pairs[i+1]))
		}
	}
}

// An answer tells its span how it went.
type answer struct {
	http.ResponseWriter
	span trace.Span
	told bool
}

func (a *answer) WriteHeader(status int) {
	if !a.told && status >= http.StatusOK {
		a.told = true
		a.span.SetAttributes(attribute.Int("http.response.status_code", status))
		if id := a.Header().Get("Keyward-Request"); id != "" {
			a.span.SetAttributes(attribute.String("keyward.request", id))
		}
		if status >= http.StatusInternalServerError {
			a.span.SetStatus(codes.Error, strconv.Itoa(status))
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if !a.told {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
