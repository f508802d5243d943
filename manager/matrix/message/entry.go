package message

import (
	"time"

	"keyward/policies"
)

// A Kind says what an entry of the audit log is about.
type Kind string

// The kinds.
const (
	MCP    Kind = "mcp"    // a message to an MCP server
	LLM    Kind = "llm"    // a request to an LLM provider
	HTTP   Kind = "http"   // another request through the gateway
	Matrix Kind = "matrix" // an allowed request to the homeserver that shows this
	Auth   Kind = "auth"   // a request that was not authenticated
	Action Kind = "action" // something that was done in the Manager
	Gap    Kind = "gap"    // records that a gateway could not keep
	Cut    Kind = "cut"    // an open stream that was ended
	// Outcome is how a request ended whose decision was shown before.
	Outcome Kind = "outcome"
	// Answer is that of an LLM request whose decision was shown before.
	Answer Kind = "answer"
)

// An Entry is what a room shows of one entry of the audit log. All its text
// is untrusted. The zero value of a field leaves it out.
type Entry struct {
	Index uint64 // place in the audit log; entries of a message are in its order
	ID    string // decision id, or id of the action's request
	Time  time.Time
	Kind  Kind

	Consumer  string
	Target    string
	Method    string // JSON-RPC or HTTP method
	Name      string // tool, prompt, resource, model or path
	Arguments string // JSON, masked before it gets here
	Verdict   policies.Verdict
	Reason    policies.Reason
	Details   []string // the policy's own reasons
	Rules     []string // deciding rules as file:row
	Status    int      // HTTP status of the answer
	Duration  time.Duration
	Bytes     uint64 // of the answer's body
	Tokens    uint64 // that a model took; 0: none, or not known

	Actor  string // of an action: who
	Did    string // of an action: what, such as consumer.suspend
	Object string // of an action: to what
	Lost   uint64 // of a gap: how many records; 0: nobody knows, since the gateway's VM ended
}

// Options are how a message is made. The zero value digests what may be
// digested.
type Options struct {
	Log      string // names the audit log, for machines
	EachLLM  bool   // a line for each LLM request, no digest
	EachAuth bool   // a line for each request that was not authenticated
}

// Digests reports whether entries of kind k are counted rather than shown one
// by one. MCP messages, actions and gaps never are; requests to the homeserver
// always are, since each line about one would make the Worker ask for it.
func (o Options) Digests(k Kind) bool {
	return (k == LLM || k == Answer) && !o.EachLLM || k == Auth && !o.EachAuth || k == Matrix
}
