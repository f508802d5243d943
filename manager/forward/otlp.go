package forward

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otel "go.opentelemetry.io/otel/log"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"

	"keyward/manager"
	"keyward/policies"
)

// OTLP sends all entries to an OpenTelemetry receiver, as logs (OTLP over HTTP).
type OTLP struct {
	exporter *otlploghttp.Exporter
}

var _ Sink = (*OTLP)(nil)

// NewOTLP returns the sink for a receiver, whose URL is without /v1/logs.
func NewOTLP(ctx context.Context, to Receiver) (*OTLP, error) {
	if err := to.Validate(); err != nil {
		return nil, err
	}
	logs, err := url.JoinPath(to.URL, "v1", "logs")
	if err != nil {
		return nil, err
	}
	// Trying again is the forwarder's, which knows what was sent.
	x, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(logs), otlploghttp.WithHTTPClient(to.newClient()),
		otlploghttp.WithCompression(otlploghttp.GzipCompression), otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: false}))
	return &OTLP{x}, err
}

// Send sends entries. A receiver that takes a part of them has said that it will
// not have the rest.
func (o *OTLP) Send(ctx context.Context, epoch string, entries []manager.LogEntry) error {
	var batch collected
	p := sdk.NewLoggerProvider(sdk.WithProcessor(&batch), sdk.WithAttributeCountLimit(-1), sdk.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "keyward"), attribute.String("service.instance.id", epoch))))
	l := p.Logger("keyward.log")
	for _, e := range entries {
		l.Emit(ctx, recordOf(e))
	}
	err := o.exporter.Export(ctx, batch.records)
	if err != nil && strings.Contains(err.Error(), "partial success") { // the SDK has no type for it
		return nil
	}
	return err
}

// collected are the records that a logger made, in order.
type collected struct{ records []sdk.Record }

func (c *collected) Enabled(context.Context, sdk.EnabledParameters) bool { return true }

func (c *collected) OnEmit(_ context.Context, r *sdk.Record) error {
	c.records = append(c.records, r.Clone())
	return nil
}

func (c *collected) Shutdown(context.Context) error   { return nil }
func (c *collected) ForceFlush(context.Context) error { return errors.ErrUnsupported }

// recordOf is an entry as a log record: its text as it stands in the log, and what
// one would search by.
func recordOf(e manager.LogEntry) (out otel.Record) {
	out.SetEventName("keyward." + string(e.Kind))
	out.SetTimestamp(e.Time)
	out.SetObservedTimestamp(e.Time)
	out.SetSeverity(otel.SeverityInfo)
	out.SetBody(attribute.StringValue(string(e.Body)))
	out.AddAttributes(attribute.Int64("keyward.position", int64(e.Position)))
	text := func(name, value string) {
		if value != "" {
			out.AddAttributes(attribute.String("keyward."+name, value))
		}
	}
	text("gateway", e.Gateway)
	text("vm", e.VM)
	text("consumer", e.Consumer())
	switch r, ev := e.Record, e.Event; {
	case r != nil:
		out.SetTimestamp(r.Time)
		if r.Verdict != policies.Allow {
			out.SetSeverity(otel.SeverityWarn)
		}
		text("decision", r.ID)
		text("target", r.Target)
		text("method", r.Method)
		text("name", r.Name)
		text("verdict", r.Verdict.String())
		text("reason", string(r.Reason))
		text("policy", r.Policy)
		if r.Status != 0 {
			out.AddAttributes(attribute.Int("http.response.status_code", r.Status))
		}
	case ev != nil:
		text("action", ev.Action)
		text("object", ev.Object)
		text("actor", ev.Actor.ID)
	case e.Gap != nil, e.Kind == manager.EntryDamaged:
		out.SetSeverity(otel.SeverityError)
	}
	return out
}
