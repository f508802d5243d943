package admission

import (
	"strings"

	"keyward/plugins/token"
)

// A request is what one pass over the headers found.
type request struct {
	location
	method        string
	rawPath       string // :path as sent
	host          string // "" when the authority is not a plain host
	contentLength string
	upgrade       bool
	credentials   []credential
	strip         []string    // names to remove before the request goes on
	headers       [][2]string // all, for the protocol's own reader
}

// A credential is what one credential header carried, without its scheme.
type credential struct {
	value  string
	usable bool // false: a scheme that can't carry a consumer token
}

// identityHeaders are set by the gateway and its neighbours alone. A client that
// sends one would be believed by plugins and upstreams that read it.
var identityHeaders = map[string]bool{
	"x-mse-consumer": true, "x-hi-original-auth": true, "x-consumer": true,
	"x-envoy-allow-mcp-tools": true, "x-envoy-original-path": true, "x-envoy-original-host": true,
	"x-forwarded-host": true, "x-forwarded-port": true, "x-forwarded-prefix": true, "x-forwarded-uri": true,
	"x-forwarded-method": true, "x-forwarded-user": true, "x-forwarded-email": true, "x-forwarded-groups": true,
	"x-forwarded-preferred-username": true, "x-forwarded-access-token": true, "x-forwarded-client-cert": true,
	"x-original-url": true, "x-original-uri": true, "x-original-method": true, "x-rewrite-url": true,
	"x-http-method": true, "x-http-method-override": true, "x-method-override": true,
	"cookie": true, "proxy-authorization": true, "accept-encoding": true,
}

var identityPrefixes = []string{"x-keyward-", "x-envoy-jsonrpc-", "x-envoy-mcp-", "x-higress-", "x-mse-", "x-mcp-"}

// apiKeyHeaders are where LLM clients put their key, beside Authorization.
var apiKeyHeaders = map[string]int{"x-api-key": 1, "api-key": 2, "x-goog-api-key": 3}

// removed reports whether no upstream may see this header as a client sent it.
func removed(name, value string) bool {
	if strings.IndexByte(name, '_') >= 0 { // to CGI and WSGI an underscore in a name is a hyphen
		name = strings.ReplaceAll(name, "_", "-")
		if apiKeyHeaders[name] != 0 || resumingHeaders[name] {
			return true
		}
	}
	if identityHeaders[name] || strings.Contains(value, token.Prefix) {
		return true
	}
	if len(name) < 2 || name[0] != 'x' || name[1] != '-' {
		return false
	}
	for _, p := range identityPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// removedTrailer is removed for a trailer, where neither a credential nor a
// session has a place.
func removedTrailer(name, value string) bool {
	return removed(name, value) || name == "authorization" || apiKeyHeaders[name] != 0 || resumingHeaders[name]
}

// readRequest sorts the headers. It reports false when a pseudo-header or a
// credential header is there twice.
func readRequest(headers [][2]string, in *room) (r request, ok bool) {
	r.headers, r.strip, r.credentials = headers, in.strip[:0], in.credentials[:0]
	var seen [5]bool
	once := func(i int) bool {
		first := !seen[i]
		seen[i] = true
		return first
	}
	for _, h := range headers {
		name, value := h[0], h[1]
		switch name {
		case ":method":
			r.method = value
			r.upgrade = r.upgrade || value == "CONNECT" // a tunnel, of which nothing is seen
		case ":path":
			r.rawPath = value
		case ":authority":
			r.host = hostname(value)
		case "content-length":
			r.contentLength = value
		case "upgrade", "http2-settings", ":protocol":
			r.upgrade = true
		case "connection":
			r.upgrade = r.upgrade || strings.Contains(strings.ToLower(value), "upgrade")
		case "authorization":
			if !once(0) {
				return r, false
			}
			r.add(name, authorization(value))
		case "x-api-key", "api-key", "x-goog-api-key":
			if !once(apiKeyHeaders[name]) {
				return r, false
			}
			r.add(name, credential{strings.TrimSpace(value), true})
		default:
			if removed(name, value) {
				r.strip = append(r.strip, name)
			}
		}
	}
	return r, true
}

func (r *request) add(name string, c credential) {
	r.strip = append(r.strip, name)
	r.credentials = append(r.credentials, c)
}
