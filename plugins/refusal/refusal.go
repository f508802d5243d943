// Package refusal writes what a client gets when it is refused: RFC 9457 for
// HTTP, the error object that LLM clients parse, and the HTTP headers of both.
// JSON-RPC errors are plugins/mcp's.
package refusal

import (
	"strconv"

	"keyward/plugins/filter"
	"keyward/policies"
	"keyward/policies/engine"
)

// Style says which error form a client understands.
type Style uint8

// The styles.
const (
	Problem Style = iota // application/problem+json, RFC 9457
	LLM                  // the error object of OpenAI's and Anthropic's APIs
)

// New is the reply to a refused request. decision may be empty where nothing
// was decided.
func New(style Style, reason policies.Reason, decision string) filter.Reply {
	f := reason.Refusal()
	media, body := "application/problem+json", problem(f, reason, decision)
	if style == LLM {
		media, body = "application/json", llm(f, reason, decision)
	}
	return filter.Reply{
		Status:  f.Status,
		Headers: append([][2]string{{"content-type", media}, {"cache-control", "no-store"}}, challenge(style, f.Status, reason)...),
		Body:    body,
		Detail:  Detail(reason),
	}
}

// Detail is the access log's word for a refusal.
func Detail(reason policies.Reason) string { return "keyward_" + string(reason) }

// challenge tells a client how to authenticate. Basic is for git, which sends
// its password only when it is asked for one; RFC 9110 section 11.6.1, RFC 6750
// section 3.
func challenge(style Style, status int, reason policies.Reason) [][2]string {
	if status != 401 {
		return nil
	}
	h := [][2]string{{"www-authenticate", Bearer(reason)}}
	if style == Problem {
		h = append(h, [2]string{"www-authenticate", `Basic realm="keyward", charset="UTF-8"`})
	}
	return h
}

// Bearer is the WWW-Authenticate header that asks for a consumer token.
func Bearer(reason policies.Reason) string {
	const bearer = `Bearer realm="keyward"`
	if reason == policies.TokenMissing {
		return bearer
	}
	return bearer + `, error="invalid_token"`
}

func problem(f policies.Refusal, reason policies.Reason, decision string) []byte {
	b := append(make([]byte, 0, 256), `{"type":`...)
	b = engine.AppendJSONString(b, "urn:keyward:reason:"+string(reason))
	b = append(b, `,"title":`...)
	b = engine.AppendJSONString(b, f.Title)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(f.Status), 10)
	return append(identify(b, reason, decision), '}')
}

// llm serves both vendors: OpenAI's clients read error.message and error.code,
// Anthropic's read type and error.type.
func llm(f policies.Refusal, reason policies.Reason, decision string) []byte {
	b := append(make([]byte, 0, 256), `{"type":"error","error":{"message":`...)
	b = engine.AppendJSONString(b, f.Title)
	b = append(b, `,"type":`...)
	b = engine.AppendJSONString(b, llmType(f.Status))
	b = append(b, `,"param":null,"code":`...)
	b = engine.AppendJSONString(b, string(reason))
	b = append(b, '}')
	return append(identify(b, reason, decision), '}')
}

func llmType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 404:
		return "not_found_error"
	case status < 500:
		return "invalid_request_error"
	default:
		return "api_error"
	}
}

func identify(b []byte, reason policies.Reason, decision string) []byte {
	b = append(b, `,"reason":`...)
	b = engine.AppendJSONString(b, string(reason))
	if decision != "" {
		b = append(b, `,"decision":`...)
		b = engine.AppendJSONString(b, decision)
	}
	return b
}
