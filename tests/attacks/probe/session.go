package main

import (
	"errors"
	"net/http"
	"strings"
)

// desk sends a request to the MCP server that has sessions.
func desk(method, body string, headers func(*Real) []string) func(World) error {
	return func(w World) error {
		return send(w, method, "/mcp/desk", body, bearer(), headers(w.Real)...)
	}
}

func stolen(r *Real) []string { return []string{"Mcp-Session-Id", r.Session} }

// bare is an ID as its server knows it, without what the gateway put before it.
func bare(id string) string {
	_, raw, _ := strings.Cut(id, ".")
	return raw
}

// replay is open when a session of the probe's own is told events of another's.
func replay(event func(*Real) string) func(World) error {
	return func(w World) error {
		id, err := session(w)
		if err != nil {
			return err
		}
		return send(w, http.MethodGet, "/mcp/desk", "", bearer(), "Mcp-Session-Id", id, "Last-Event-Id", event(w.Real))
	}
}

// session opens one of the probe's own.
func session(w World) (string, error) {
	res, err := answer(w, http.MethodPost, "/mcp/desk", begin, bearer())
	if err != nil {
		return "", err
	}
	id := res.Header.Get("Mcp-Session-Id")
	if err := success(res); err != nil || id == "" {
		return "", errors.Join(errors.New("no session"), err)
	}
	return id, nil
}
