package policies

import "time"

// RecordType says what a [Record] tells.
type RecordType string

// The types of a record.
const (
	RecordDecision RecordType = "decision" // what was decided, and how the request ended if that is known
	RecordOutcome  RecordType = "outcome"  // how a request ended whose decision was recorded before
	RecordCut      RecordType = "cut"      // an open stream was ended by what changed since its decision
)

// A Record is what the audit log keeps of one request. Names are those of OPA's
// decision log where it has the field. Text may be a client's: nothing in it is
// harmless but IDs, codes and numbers.
type Record struct {
	Type     RecordType `json:"type"`
	ID       string     `json:"decision_id"`  // [Decision.ID]; an outcome has that of its decision
	Of       string     `json:"of,omitempty"` // of a cut: the decision that had let the stream go on
	Time     time.Time  `json:"timestamp"`    // when the request came, or the stream was cut; UTC
	Sequence uint64     `json:"sequence"`     // counts a VM's records from 1, without gaps
	Kind     Kind       `json:"kind,omitempty"`
	Consumer string     `json:"consumer,omitempty"` // empty: not identified
	Target   string     `json:"target,omitempty"`   // empty: none was found
	Host     string     `json:"host,omitempty"`
	Method   string     `json:"method,omitempty"` // JSON-RPC method, else HTTP method
	Name     string     `json:"name,omitempty"`   // tool, prompt or resource, else path without query
	Verdict  Verdict    `json:"verdict"`
	Reason   Reason     `json:"reason,omitempty"`
	Details  []string   `json:"details,omitempty"` // [Decision.Details]
	Rules    []string   `json:"rules,omitempty"`   // [Decision.Rules]
	Policy   string     `json:"policy,omitempty"`

	Generation    uint64        `json:"generation,omitempty"`     // snapshot generation that decided
	Status        int           `json:"status,omitempty"`         // HTTP status of the answer; 0: none, or not known yet
	RequestBytes  uint64        `json:"request_bytes,omitempty"`  // of the body
	ResponseBytes uint64        `json:"response_bytes,omitempty"` // of the body
	Duration      time.Duration `json:"duration_ns,omitempty"`    // from the first header to the end

	// Model and Tokens are what the answer of an LLM provider says of itself; empty,
	// nil: it says nothing, or it could not be read.
	Model  string  `json:"model,omitempty"`
	Tokens *Tokens `json:"tokens,omitempty"`

	// Digest is the SHA-256, in hex, of the arguments of a call as they were sent.
	Digest string `json:"arguments_sha256,omitempty"`
	// Arguments are what the target's setting and the masks leave of them; empty:
	// nothing.
	Arguments JSON `json:"arguments,omitempty"`
	// Erased and Masked are JSON pointers into the record to what was taken out
	// and to what was replaced.
	Erased []string `json:"erased,omitempty"`
	Masked []string `json:"masked,omitempty"`
}

// Tokens are what a model took for one request.
type Tokens struct {
	Input  uint64 `json:"input"`  // those from a cache among them
	Output uint64 `json:"output"` // reasoning among it
}

// JSON is the text of one JSON value.
type JSON string

// MarshalJSON returns the text.
func (j JSON) MarshalJSON() ([]byte, error) { return []byte(j), nil }

// UnmarshalJSON keeps the text.
func (j *JSON) UnmarshalJSON(b []byte) error {
	*j = JSON(b)
	return nil
}

// Bounds of a record. What is longer is left out of it, and named in Erased.
const (
	MaxRecordArguments = 4 << 10 // bytes of JSON
	MaxRecordText      = 1 << 10 // bytes of a name, a path, a detail
	MaxRecordList      = 16      // details, rules, pointers
	MaxRecordBytes     = 64 << 10
)
