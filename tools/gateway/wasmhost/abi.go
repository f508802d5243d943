package wasmhost

import (
	"errors"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// status is what a host call returns (proxy-wasm ABI 0.2.1, proxy_status_t).
type status uint32

const (
	statusOK                  status = 0
	statusNotFound            status = 1
	statusBadArgument         status = 2
	statusInvalidMemoryAccess status = 6
	statusCASMismatch         status = 8
	statusInternalFailure     status = 10
)

// statusOf translates an error of the chain.
func statusOf(err error) status {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, filter.ErrNotFound):
		return statusNotFound
	case errors.Is(err, chain.ErrMisuse):
		return statusBadArgument
	}
	return statusInternalFailure
}

// Buffers (proxy_buffer_type_t).
const (
	bufferRequestBody  = 0
	bufferResponseBody = 1
	bufferCallBody     = 4
	bufferVMConfig     = 6
	bufferPluginConfig = 7
)

// Header maps (proxy_map_type_t).
const (
	mapRequestHeaders   = 0
	mapRequestTrailers  = 1
	mapResponseHeaders  = 2
	mapResponseTrailers = 3
	mapCallHeaders      = 6
	mapCallTrailers     = 7
)

var mapSides = map[uint32]filter.Side{
	mapRequestHeaders:   filter.Request,
	mapRequestTrailers:  filter.RequestTrailers,
	mapResponseHeaders:  filter.Response,
	mapResponseTrailers: filter.ResponseTrailers,
}

// A Persona is the host that is imitated where hosts differ.
type Persona uint8

// The personas.
const (
	Higress Persona = iota // ABI 0_2_100 and older
	Envoy                  // ABI 0_2_1 and older, with allow_on_headers_stop_iteration
)

func (p Persona) String() string {
	if p == Envoy {
		return "envoy"
	}
	return "higress"
}

// abiExports are the exports that name a version, by persona. A host takes the
// first that it knows, in the order of the module's export section.
var abiExports = [...][]string{
	Higress: {"proxy_abi_version_0_2_100", "proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"},
	Envoy:   {"proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"},
}

// holdsHeaders reports whether a held header callback still gets the body: with
// an older ABI, Higress stops all callbacks instead and the request hangs.
func holdsHeaders(p Persona, abi string) bool {
	return p == Envoy || abi == abiExports[Higress][0]
}
