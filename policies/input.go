package policies

// Kind says which part of an [Input] is filled in.
type Kind string

// The kinds of a target and of a request to it.
const (
	KindMCP  Kind = "mcp"  // Model Context Protocol over streamable HTTP
	KindLLM  Kind = "llm"  // an LLM provider's HTTP API
	KindHTTP Kind = "http" // any other HTTP service
)

// An Input is the whole of what a policy sees as `input`: one request, or one
// entry of a list that is being filtered. The same Input and the same policy
// give the same [Decision], so a kept Input can be replayed.
type Input struct {
	Kind     Kind     `json:"kind" jsonschema:"which protocol the target speaks: mcp, llm or http"`
	Consumer Consumer `json:"consumer" jsonschema:"who asks; known from the consumer token alone"`
	Target   Target   `json:"target" jsonschema:"what is asked; known from the matched route"`
	Grants   []Grant  `json:"grants" jsonschema:"the consumer's unexpired grants on this target; empty when there are none"`
	HTTP     HTTP     `json:"http" jsonschema:"the HTTP request line, normalised"`
	MCP      *MCP     `json:"mcp,omitempty" jsonschema:"the MCP message; only when kind is mcp"`
}

// A Consumer is an identity the gateway knows.
type Consumer struct {
	ID     string            `json:"id" jsonschema:"stable name of the consumer"`
	Kind   string            `json:"kind" jsonschema:"worker, human or service"`
	Labels map[string]string `json:"labels" jsonschema:"free labels set by an administrator; never nil"`
}

// A Target is something behind the gateway.
type Target struct {
	ID     string            `json:"id" jsonschema:"stable name of the target"`
	Kind   Kind              `json:"kind" jsonschema:"mcp, llm or http"`
	Labels map[string]string `json:"labels" jsonschema:"free labels set by an administrator; never nil"`
}

// A Grant lets a consumer use a target. Lists name things byte for byte; the
// single entry "*" stands for all of them, and an absent list for none. Values
// of Arguments are nil, bool, string, [Number], []any or map[string]any.
type Grant struct {
	ID        string                      `json:"id" jsonschema:"stable name of the grant"`
	Tools     []string                    `json:"tools,omitempty" jsonschema:"MCP tools that may be called"`
	Prompts   []string                    `json:"prompts,omitempty" jsonschema:"MCP prompts that may be used"`
	Resources []string                    `json:"resources,omitempty" jsonschema:"MCP resource URIs that may be read"`
	Arguments map[string]map[string][]any `json:"arguments,omitempty" jsonschema:"tool name, or * for every tool, to argument name to the values it may have; a named argument must be present"`
	Methods   []string                    `json:"methods,omitempty" jsonschema:"HTTP methods for an llm or http target; absent or * means every method"`
	Paths     []string                    `json:"paths,omitempty" jsonschema:"path prefixes, by whole segments, for an llm or http target; absent or * means every path of the target"`
	Expires   int64                       `json:"expires,omitempty" jsonschema:"end of the grant, Unix seconds; 0 or absent means no end"`
}

// HTTP is the request line after normalisation. A path that two parsers could
// read differently never gets here.
type HTTP struct {
	Method   string              `json:"method" jsonschema:"upper case"`
	Host     string              `json:"host" jsonschema:"lower case, without port"`
	Path     string              `json:"path" jsonschema:"without query, as the upstream gets it"`
	Segments []string            `json:"segments" jsonschema:"path split at /, percent-decoded, without empty ends"`
	Query    map[string][]string `json:"query,omitempty" jsonschema:"query parameters; only when kind is llm or http"`
}

// MCPKind says what an MCP request is.
type MCPKind string

// The kinds of an MCP message.
const (
	MCPRequest      MCPKind = "request"      // expects a result
	MCPNotification MCPKind = "notification" // expects none
	MCPStream       MCPKind = "stream"       // GET: the server's own event stream, up to 2025-11-25
	MCPEnd          MCPKind = "end"          // DELETE: end of the session, up to 2025-11-25
)

// MCP is one message of the Model Context Protocol.
type MCP struct {
	Revision  string  `json:"revision" jsonschema:"protocol revision of the request, such as 2025-11-25"`
	Kind      MCPKind `json:"kind" jsonschema:"request, notification, stream or end"`
	Method    string  `json:"method,omitempty" jsonschema:"JSON-RPC method; absent for stream and end"`
	Name      string  `json:"name,omitempty" jsonschema:"the tool, prompt or resource URI that the method names"`
	Arguments any     `json:"arguments,omitempty" jsonschema:"arguments of a call, an object; absent when the message has none, and while listing"`
	Listing   bool    `json:"listing" jsonschema:"true when a list entry is being filtered: may the consumer use this name with some arguments?"`
}
