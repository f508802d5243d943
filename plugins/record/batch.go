package record

import (
	"strconv"
	"time"

	"keyward/policies"
	"keyward/policies/engine"
)

// Path is where a Manager takes batches, by POST.
const Path = "/gateway/v1/records"

// Bounds of a batch.
const (
	MaxRecords = 500
	MaxBytes   = 2 << 20
	maxVM      = 64 // bytes of a VM's name
)

// A Batch is what one VM has to tell, in the order of sequence numbers.
type Batch struct {
	VM      string // name of the VM in its gateway, for as long as it lives
	Records []policies.Record
}

// Encode writes a batch as [Decode] reads it; records are joined by commas, each
// as [Append] writes it.
func Encode(vm string, records []byte) []byte {
	b := make([]byte, 0, len(records)+len(vm)+32)
	b = append(b, `{"vm":`...)
	b = engine.String(vm).AppendJSON(b)
	b = append(b, `,"records":[`...)
	return append(append(b, records...), "]}"...)
}

// Append writes a record, whose texts keep to their bounds.
func Append(b []byte, r *policies.Record) []byte {
	w := writer{append(b, '{')}
	w.text("type", string(r.Type))
	w.text("decision_id", r.ID)
	w.name("timestamp")
	w.b = append(r.Time.UTC().AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
	w.uint("sequence", r.Sequence)
	w.text("kind", string(r.Kind))
	w.text("consumer", r.Consumer)
	w.text("target", r.Target)
	w.text("host", r.Host)
	w.text("method", r.Method)
	w.text("name", r.Name)
	w.text("verdict", r.Verdict.String())
	w.text("reason", string(r.Reason))
	w.list("details", r.Details)
	w.list("rules", r.Rules)
	w.text("policy", r.Policy)
	w.uint("generation", r.Generation)
	w.uint("status", uint64(r.Status))
	w.uint("request_bytes", r.RequestBytes)
	w.uint("response_bytes", r.ResponseBytes)
	w.uint("duration_ns", uint64(max(0, r.Duration)))
	w.text("arguments_sha256", r.Digest)
	if r.Arguments != "" {
		w.name("arguments")
		w.b = append(w.b, r.Arguments...)
	}
	w.list("erased", r.Erased)
	w.list("masked", r.Masked)
	return append(w.b, '}')
}

// A writer appends the members of an object, and leaves out empty ones.
type writer struct{ b []byte }

func (w *writer) name(s string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), s...), '"', ':')
}

func (w *writer) text(name, s string) {
	if s != "" {
		w.name(name)
		w.b = engine.String(s).AppendJSON(w.b)
	}
}

func (w *writer) uint(name string, n uint64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendUint(w.b, n, 10)
	}
}

func (w *writer) list(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	for i, s := range list {
		w.b = append(w.b, "[,"[min(i, 1)])
		w.b = engine.String(s).AppendJSON(w.b)
	}
	w.b = append(w.b, ']')
}
