// Command plugin is the smallest plugin that holds nothing back.
package main

import "unsafe"

func main() {}

// given keeps what was given to the host.
var given [][]byte

//go:wasmexport proxy_abi_version_0_2_100
func version() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) *byte {
	given = append(given, make([]byte, size+1))
	return unsafe.SliceData(given[len(given)-1])
}

//go:wasmexport proxy_on_context_create
func create(_, _ uint32) {}

//go:wasmexport proxy_on_vm_start
func start(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func configure(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_tick
func tick(uint32) {}

//go:wasmexport proxy_on_request_headers
func requestHeaders(_, _, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_request_body
func requestBody(_, _, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_request_trailers
func requestTrailers(_, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_response_headers
func responseHeaders(_, _, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_response_body
func responseBody(_, _, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_response_trailers
func responseTrailers(_, _ uint32) uint32 { return 0 }

//go:wasmexport proxy_on_http_call_response
func answered(_, _, _, _, _ uint32) {}

//go:wasmexport proxy_on_done
func done(uint32) uint32 { return 1 }

//go:wasmexport proxy_on_log
func log(uint32) {}

//go:wasmexport proxy_on_delete
func remove(uint32) {}
