//lint:file-ignore U1000 a host calls these; natively nothing does

// Package body has a host show request bodies and trailers to a plugin that
// imports it. Without it the host has no callback for them: it passes them on, or
// keeps them back with headers that are held, and two calls less are made for a
// request.
package body

import "keyward/plugins/internal/host"

func init() { host.ShowBodies() }

//go:wasmexport proxy_on_request_body
func proxyOnRequestBody(id, size uint32, end bool) uint32 { return host.RequestBody(id, size, end) }

//go:wasmexport proxy_on_request_trailers
func proxyOnRequestTrailers(id, _ uint32) uint32 { return host.RequestTrailers(id) }
