package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"keyward/tools/gateway/chain"
)

// hopByHop are the fields that concern one connection (RFC 9110, section
// 7.6.1). Expect is answered by the server before the body is read.
var hopByHop = []string{
	"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// requestHeaders returns the headers of a request as a chain takes them. Only
// one that is about to be refused keeps its upgrade.
func requestHeaders(r *http.Request) *chain.Headers {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	h := chain.NewHeaders(
		[2]string{":method", r.Method}, [2]string{":path", rawPath(r)},
		[2]string{":authority", r.Host}, [2]string{":scheme", scheme},
	)
	addFields(h, r.Header, r.Header.Get("Upgrade") != "" || r.Method == http.MethodConnect)
	if r.ContentLength > 0 {
		h.Set("content-length", strconv.FormatInt(r.ContentLength, 10))
	}
	return h
}

// rawPath is the path with its query as the client sent it.
func rawPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*" {
		return r.RequestURI
	}
	// The absolute form (RFC 9112, section 3.2.2).
	_, rest, _ := strings.Cut(r.RequestURI, "://")
	i := strings.IndexAny(rest, "/?#")
	switch {
	case i < 0:
		return "/"
	case rest[i] != '/':
		return "/" + rest[i:]
	}
	return rest[i:]
}

// addFields adds fields in the order of their names. keep keeps those that
// concern the connection alone.
func addFields(h *chain.Headers, fields http.Header, keep bool) {
	drop := hopByHop
	for _, v := range fields["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			drop = append(slices.Clip(drop), strings.ToLower(strings.TrimSpace(name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		lower := strings.ToLower(name)
		if !keep && slices.Contains(drop, lower) {
			continue
		}
		for _, v := range fields[name] {
			h.Add(lower, v)
		}
	}
}

// trailers returns trailers as a chain takes them; nil when there are none.
func trailers(fields http.Header) *chain.Headers {
	h := chain.NewHeaders()
	addFields(h, fields, false)
	if h.Len() == 0 {
		return nil
	}
	return h
}

// putFields adds all but pseudo-headers and those that concern a connection.
func putFields(fields http.Header, h *chain.Headers) {
	for _, p := range h.Pairs() {
		if !strings.HasPrefix(p[0], ":") && !slices.Contains(hopByHop, p[0]) {
			fields.Add(p[0], p[1])
		}
	}
}

// value is the value of a header, "" when it is absent.
func value(h *chain.Headers, name string) string {
	v, _ := h.Get(name)
	return v
}
