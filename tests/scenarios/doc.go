// Package scenarios holds one table of requests, with what must become of each,
// and runs it against every form in which the plugins exist: natively, as wasm
// on wazero, in the embedded gateway, and in Envoy.
//
// # The table
//
// testdata/*.json hold rows, and requests.json the requests that rows start
// from. A row names one ("like") and changes it:
//
//	method, path, headers   headers by name: a value, a list of values, or null for none
//	body                    an object: these very bytes; a string: as it is, with a
//	                        content-length; a list: the pieces of a body of unknown
//	                        length, strings or {"text", "times", "pause_ms"}
//	trailers                after the body
//	protocols               h1 (default), h2c
//	snapshot                what is in force: base (default), or another of world_test.go
//	answer                  what the upstream answers, if it is reached
//	want                    what must become of the request
//	on                      other expectations of one gateway: native, wasm, embedded, envoy
//	not                     gateways to leave out: native and wasm have no HTTP syntax
//
// In want, "upstream" says what the upstream saw; without it the upstream must
// have seen nothing at all. "reason" is the reason code that the client is told;
// "id" with it means a JSON-RPC error with this id and the reason's code.
//
// ${token:NAME} stands for a consumer token, ${basic:USER:NAME} for Basic
// credentials made of one, ${key:NAME} for a target's real key, ${session:NAME:ID}
// and ${event:NAME:ID} for an upstream's ID as that consumer has it, and in an answer
// ${seen:NAME} for a header that the upstream was sent.
//
// # What holds for every row
//
// The upstream sees nothing before the request was decided; it never sees a
// consumer token; it sees a real key only in an allowed request to the target
// that the key belongs to. The client never sees a real key; no log holds
// either. What is forwarded is what was sent, byte for byte.
package scenarios
