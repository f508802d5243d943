package tracing_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"keyward/tools/tracing"
)

// A collector takes spans as an OTLP receiver does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []map[string]string // attributes, with name, trace and parent
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var m v1.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(b, &m) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: not an export: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					span := map[string]string{"name": s.Name, "trace": string(s.TraceId), "parent": string(s.ParentSpanId), "id": string(s.SpanId)}
					for _, a := range s.Attributes {
						span[a.Key] = strings.Trim(a.Value.String(), `"`)
					}
					c.spans = append(c.spans, span)
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func TestATraceGoesThroughBothServices(t *testing.T) {
	c := newCollector(t)
	var tracers []*tracing.Tracer
	tracer := func(service string) *tracing.Tracer {
		tr, err := tracing.New(t.Context(), &tracing.Config{Endpoint: c.URL}, service)
		if err != nil {
			t.Fatal(err)
		}
		tracers = append(tracers, tr)
		return tr
	}
	back := httptest.NewServer(tracer("back").Handler("second", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Keyward-Request", "r1")
		w.WriteHeader(http.StatusTeapot)
	})))
	t.Cleanup(back.Close)
	front := httptest.NewServer(tracer("front").Handler("first", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracing.Note(r.Context(), "keyward.consumer", "w1", "keyward.target", "")
		out, err := http.NewRequestWithContext(r.Context(), "GET", back.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		out.Header.Set("Traceparent", r.Header.Get("Traceparent"))
		res, err := http.DefaultClient.Do(out)
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
		_, _ = io.WriteString(w, "ok")
	})))
	t.Cleanup(front.Close)
	req, err := http.NewRequestWithContext(t.Context(), "GET", front.URL+"/a?b=kwt_secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	req.Header.Set("Authorization", "Bearer kwt_secret")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for _, tr := range tracers {
		if err := tr.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	spans := map[string]map[string]string{}
	for _, s := range c.spans {
		spans[s["name"]] = s
		for k, v := range s {
			if strings.Contains(v, "secret") {
				t.Errorf("span %s: %s holds a secret", s["name"], k)
			}
		}
	}
	first, second := spans["first"], spans["second"]
	if len(c.spans) != 2 || first["trace"] != second["trace"] || second["parent"] != first["id"] || !strings.HasPrefix(first["trace"], "\x0a\xf7\x65") {
		t.Errorf("spans = %q", c.spans)
	}
	if !strings.Contains(first["keyward.consumer"], "w1") || !strings.Contains(second["http.response.status_code"], "418") || !strings.Contains(second["keyward.request"], "r1") {
		t.Errorf("attributes: %q", c.spans)
	}
}

func TestNothingIsTracedWithoutAConfiguration(t *testing.T) {
	tr, err := tracing.New(t.Context(), nil, "x")
	h := http.NotFoundHandler()
	if err != nil || tr != nil || tr.Stop(t.Context()) != nil {
		t.Errorf("tracer = %v, %v", tr, err)
	}
	w := httptest.NewRecorder()
	tr.Handler("x", h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status = %d", w.Code)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []tracing.Config{
		{}, {Endpoint: "127.0.0.1:4318"}, {Endpoint: "http://user:pass@h"}, {Endpoint: "http://h", Ratio: 2}, {Endpoint: "ftp://h"},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v: taken", c)
		}
	}
}
