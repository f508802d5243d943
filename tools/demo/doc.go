// Package demo runs Keyward on one machine with everything around it: an MCP
// server and an LLM provider that accept their real key only, a gateway with the
// two plugins in front of them, the Manager that the gateway follows, an
// administrator, and a Worker that holds one consumer token.
//
// The story has chapters, one file each: chapter_*.go.
//
// Every secret is made anew at each start, and only for this start.
package demo
