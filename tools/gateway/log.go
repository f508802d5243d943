package gateway

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/token"
	"keyward/plugins/verdict"
	"keyward/tools/gateway/chain"
	"keyward/tools/tracing"
)

// maxLogPath bounds what an access log line shows of a path.
const maxLogPath = 256

// done counts an exchange and writes its line to the access log: no header, no
// query, no body.
func (g *Gateway) done(e *exchange) {
	g.metrics.done(e)
	attrs := []slog.Attr{
		slog.String("method", e.request.Method),
		slog.String("path", logPath(rawPath(e.request))),
		slog.Int("status", e.status),
		slog.Int64("received", e.received.Load()),
		slog.Int64("sent", e.sent),
		slog.Duration("duration", time.Since(e.started)),
	}
	ctx := e.request.Context()
	if e.route != nil {
		tracing.Note(ctx, "keyward.route", e.route.Name)
		attrs = append(attrs, slog.String("route", e.route.Name), slog.String("cluster", e.route.cluster.Name))
	}
	if detail := e.stream.Detail(); detail != "" {
		attrs = append(attrs, slog.String("detail", detail))
	}
	if v, err := verdict.Decode(e.stream.Property(verdict.Property)); err == nil {
		tracing.Note(ctx, "keyward.consumer", v.Consumer, "keyward.target", v.Target, "keyward.decision", v.Decision)
		attrs = append(attrs, slog.String("consumer", v.Consumer), slog.String("target", v.Target), slog.String("decision", v.Decision))
	}
	g.log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// logPath is what the access log shows of a path: nothing of one that holds a
// consumer token, or could after some decoding.
func logPath(raw string) string {
	path, _, _ := strings.Cut(raw, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil || strings.ContainsAny(decoded, "%") || strings.Contains(decoded, token.Prefix) {
		return ""
	}
	return path[:min(len(path), maxLogPath)]
}

// fault logs a plugin's misuse of the host.
func (g *Gateway) fault(f chain.Fault) {
	g.metrics.faults.WithLabelValues(f.Filter).Inc()
	g.log.Error("plugin fault, request denied", "plugin", f.Filter, "callback", f.At, "fault", f.Text)
}

var levels = [...]slog.Level{
	filter.Debug: slog.LevelDebug, filter.Info: slog.LevelInfo, filter.Warn: slog.LevelWarn, filter.Error: slog.LevelError,
}

func (g *Gateway) pluginLog(plugin string, level filter.Level, line string) {
	g.log.Log(context.Background(), levels[level], line, "plugin", plugin)
}
