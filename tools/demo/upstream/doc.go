// Package upstream is what stands behind the gateway in the demo and in tests:
// an MCP server and an LLM provider that refuse anything but their real key.
// There is no model behind the provider.
package upstream
