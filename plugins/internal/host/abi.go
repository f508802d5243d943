//go:build wasip1

package host

// The functions that a host offers. Data that they return they put into memory
// that they ask for in the middle of the call (see [memory]), and where that is
// into two 32-bit words, at most one call at a time.

//go:wasmimport env proxy_log
//go:noescape
func proxyLog(level uint32, text *byte, size uint32) status

//go:wasmimport env proxy_get_property
func proxyGetProperty(path *byte, pathSize uint32, data, size *uint32) status

//go:wasmimport env proxy_set_property
//go:noescape
func proxySetProperty(path *byte, pathSize uint32, value *byte, valueSize uint32) status

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(kind uint32, data, size *uint32) status

//go:wasmimport env proxy_add_header_map_value
//go:noescape
func proxyAddHeaderMapValue(kind uint32, name *byte, nameSize uint32, value *byte, valueSize uint32) status

//go:wasmimport env proxy_replace_header_map_value
//go:noescape
func proxyReplaceHeaderMapValue(kind uint32, name *byte, nameSize uint32, value *byte, valueSize uint32) status

//go:wasmimport env proxy_remove_header_map_value
//go:noescape
func proxyRemoveHeaderMapValue(kind uint32, name *byte, nameSize uint32) status

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(kind, start, limit uint32, data, size *uint32) status

//go:wasmimport env proxy_set_buffer_bytes
//go:noescape
func proxySetBufferBytes(kind, start, limit uint32, bytes *byte, size uint32) status

//go:wasmimport env proxy_send_local_response
//go:noescape
func proxySendLocalResponse(code uint32, detail *byte, detailSize uint32, body *byte, bodySize uint32, headers *byte, headersSize uint32, grpc int32) status

//go:wasmimport env proxy_get_shared_data
func proxyGetSharedData(key *byte, keySize uint32, data, size, version *uint32) status

//go:wasmimport env proxy_set_shared_data
//go:noescape
func proxySetSharedData(key *byte, keySize uint32, value *byte, valueSize, version uint32) status

//go:wasmimport env proxy_http_call
//go:noescape
func proxyHTTPCall(cluster *byte, clusterSize uint32, headers *byte, headersSize uint32, body *byte, bodySize uint32, trailers *byte, trailersSize uint32, milliseconds uint32, token *uint32) status

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriod(milliseconds uint32) status

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(side uint32) status

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(id uint32) status

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(clock uint32, precision uint64, now *uint64) uint32
