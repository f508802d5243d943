//go:build !wasip1

package host

// Outside of wasm there is no host: the package builds, for tools that look at
// all code, and every call fails.

func proxyLog(uint32, *byte, uint32) status { return unimplemented }

func proxyGetProperty(*byte, uint32, *uint32, *uint32) status { return unimplemented }

func proxySetProperty(*byte, uint32, *byte, uint32) status { return unimplemented }

func proxyGetHeaderMapPairs(uint32, *uint32, *uint32) status { return unimplemented }

func proxyAddHeaderMapValue(uint32, *byte, uint32, *byte, uint32) status { return unimplemented }

func proxyReplaceHeaderMapValue(uint32, *byte, uint32, *byte, uint32) status { return unimplemented }

func proxyRemoveHeaderMapValue(uint32, *byte, uint32) status { return unimplemented }

func proxyGetBufferBytes(uint32, uint32, uint32, *uint32, *uint32) status { return unimplemented }

func proxySetBufferBytes(uint32, uint32, uint32, *byte, uint32) status { return unimplemented }

func proxyGetSharedData(*byte, uint32, *uint32, *uint32, *uint32) status { return unimplemented }

func proxySetSharedData(*byte, uint32, *byte, uint32, uint32) status { return unimplemented }

func proxySetTickPeriod(uint32) status { return unimplemented }

func proxyContinueStream(uint32) status { return unimplemented }

func proxySetEffectiveContext(uint32) status { return unimplemented }

func clockTimeGet(uint32, uint64, *uint64) uint32 { return uint32(unimplemented) }

func proxySendLocalResponse(uint32, *byte, uint32, *byte, uint32, *byte, uint32, int32) status {
	return unimplemented
}

func proxyHTTPCall(*byte, uint32, *byte, uint32, *byte, uint32, *byte, uint32, uint32, *uint32) status {
	return unimplemented
}
