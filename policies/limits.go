package policies

// Bounds of one request, the same on every host. Each stops one kind of
// exhaustion; a request beyond any of them is denied, never cut to size.
const (
	MaxBodyBytes     = 1 << 20 // request body that is read; MCP calls are far smaller
	MaxAnswerBytes   = 8 << 20 // list answer that is filtered
	MaxDepth         = 64      // nesting of JSON, checked before any parser runs
	MaxMembers       = 20_000  // names and values in one JSON body
	MaxNameBytes     = 256     // tool or prompt name (the specification's own bound is 128)
	MaxURIBytes      = 4096    // resource URI, path
	MaxHeaderBytes   = 8 << 10 // one header value that is read
	MaxInstructions  = 200_000 // engine instructions of one evaluation
	MaxPolicyMemory  = 8 << 20 // bytes that one evaluation may allocate
	MaxPolicyDepth   = 128     // nested calls of one evaluation
	MaxSnapshotBytes = 64 << 20
)
