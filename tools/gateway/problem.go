package gateway

import (
	"encoding/json"
	"net/http"

	"keyward/plugins/filter"
)

// problem is an answer of the gateway's own in the form of RFC 9457.
func problem(status int, reason, detail string) filter.Reply {
	body, _ := json.Marshal(struct { // of strings and an int: can't fail
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Reason string `json:"reason"`
	}{"about:blank", http.StatusText(status), status, detail, reason})
	return filter.Reply{
		Status: status, Body: body, Detail: reason,
		Headers: [][2]string{{"content-type", "application/problem+json"}},
	}
}
