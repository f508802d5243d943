package record

import (
	"strconv"

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
	w.text("of", r.Of)
	w.name("timestamp")
	w.b = append(appendTime(append(w.b, '"'), r.Time.UnixNano()), '"')
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
	w.text("model", r.Model)
	if r.Tokens != nil {
		w.name("tokens")
		w.b = strconv.AppendUint(append(w.b, `{"input":`...), r.Tokens.Input, 10)
		w.b = append(strconv.AppendUint(append(w.b, `,"output":`...), r.Tokens.Output, 10), '}')
	}
	w.text("arguments_sha256", r.Digest)
	if r.Arguments != "" {
		w.name("arguments")
		w.b = append(w.b, r.Arguments...)
	}
	w.list("erased", r.Erased)
	w.list("masked", r.Masked)
	return append(w.b, '}')
}

// appendTime writes Unix nanoseconds as RFC 3339 has them, in UTC. Package time's
// own formatter adds 100 KB to a plugin, most of it time zones.
func appendTime(b []byte, ns int64) []byte {
	const day = 24 * 60 * 60
	seconds := ns / 1e9
	year, month, mday := civil(seconds / day)
	b = digits(b, year, 4)
	b = digits(append(b, '-'), month, 2)
	b = digits(append(b, '-'), mday, 2)
	seconds %= day
	b = digits(append(b, 'T'), seconds/3600, 2)
	b = digits(append(b, ':'), seconds/60%60, 2)
	b = digits(append(b, ':'), seconds%60, 2)
	return append(digits(append(b, '.'), ns%1e9, 9), 'Z')
}

// civil is the date of a day since 1970-01-01, which must not be before it. The
// year is counted from March, so that the leap day is its last.
func civil(days int64) (year, month, day int64) {
	const era = 146097 // days of 400 years
	days += 719468     // since 0000-03-01
	of := days % era
	year = (of - of/1460 + of/36524 - of/(era-1)) / 365
	of -= 365*year + year/4 - year/100
	year += days / era * 400
	month = (5*of + 2) / 153
	day = of - (153*month+2)/5 + 1
	if month += 3; month > 12 {
		return year + 1, month - 12, day
	}
	return year, month, day
}

func digits(b []byte, n int64, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; width > 0; i, width = i-1, width-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
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
