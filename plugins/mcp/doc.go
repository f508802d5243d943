// Package mcp reads the Model Context Protocol as strictly as an enforcing
// gateway must: what it lets through has one reading only, and that reading is
// what the policy decides.
//
// It knows the streamable HTTP transport of revisions 2025-06-18, 2025-11-25
// and 2026-07-28. A request goes through it in this order: [ReadHeaders] and
// [CheckHeaders] when the headers are there, [Read] when the whole body is. The
// answer to a list goes through [FilterList] or [SSEFilter].
//
// It does no I/O, keeps nothing between calls and runs natively and in wasm.
//
// # Failure
//
// Whatever can be read in two ways is a [Fault]: the caller refuses the request,
// or the answer, and passes nothing on.
package mcp
