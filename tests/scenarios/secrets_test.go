package scenarios_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"keyward/plugins/gate/session"
)

// accept reports whether a request carries the real key of its target, in the
// way that the target takes it, and no other.
func (w *World) accept(uri string, h http.Header) bool {
	at, err := url.ParseRequestURI(uri)
	if err != nil {
		return false
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
	authorization := h.Values("Authorization")
	is := func(values []string, want string) bool { return len(values) == 1 && values[0] == want }
	if first != "api" {
		switch first {
		case "mcp":
			return is(authorization, "Bearer "+w.keys["tools"])
		case "v1":
			return is(authorization, "Bearer "+w.keys["llm"])
		case "git":
			return is(authorization, "Basic "+basic("x-access-token", w.keys["git"]))
		}
		return false
	}
	switch target, _, _ := strings.Cut(rest, "/"); target {
	case "open":
		return len(authorization) == 0
	case "header":
		return is(h.Values("X-Api-Token"), "Token "+w.keys["header"])
	case "query":
		return is(at.Query()["key"], w.keys["query"])
	case "bearer":
		return is(authorization, "Bearer "+w.keys["bearer"]) || is(authorization, "Bearer "+w.keys["owners"])
	case "stale":
		return false
	default:
		return is(authorization, "Bearer "+w.keys[target])
	}
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

var placeholder = regexp.MustCompile(`\$\{([a-z0-9]+):([a-z0-9-]+)(?::([a-z0-9-]+))?\}`)

// fill puts the world's secrets in the place of placeholders.
func (w *World) fill(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return placeholder.ReplaceAllStringFunc(s, func(found string) string {
		p := placeholder.FindStringSubmatch(found)
		switch kind, name := p[1], p[2]; kind {
		case "token":
			return w.tokens[name]
		case "tail":
			return w.tokens[name][1:]
		case "basic":
			return "Basic " + basic(name, w.tokens[p[3]])
		case "key":
			return w.keys[name]
		case "keyhead":
			return w.keys[name][:len(w.keys[name])/2]
		case "keytail":
			return w.keys[name][len(w.keys[name])/2:]
		case "basickey":
			return "Basic " + basic(name, w.keys[p[3]])
		case "b64key":
			return basic(name, w.keys[p[3]])
		case "session": // of the consumer, at the target "tools"
			return w.bound(session.Session, name, "tools", p[3])
		case "event":
			return w.bound(session.Event, name, "tools", p[3])
		case "elsewhere": // a session at another target
			return w.bound(session.Session, name, "strict", p[3])
		default:
			return found
		}
	})
}

// bound is a server's ID as the gateway gives it to a consumer.
func (w *World) bound(k session.Kind, consumer, target, id string) string {
	return string(session.New(w.base.SessionKey).Append(nil, k, consumer, target, []byte(id)))
}

// leaks names the secrets that s holds: consumer tokens, and real keys.
func (w *World) leaks(s string) (tokens, keys []string) {
	for name, tok := range w.tokens {
		if strings.Contains(s, tok[:len(tok)-1]) { // a mistyped token is close enough
			tokens = append(tokens, name)
		}
	}
	for name, key := range w.keys {
		if strings.Contains(s, key) || name == "git" && strings.Contains(s, basic("x-access-token", key)) {
			keys = append(keys, name)
		}
	}
	return tokens, keys
}
