package record

import (
	"math"
	"strconv"
	"time"

	"keyward/plugins/internal/strict"
	"keyward/policies"
)

// An Error says what is wrong with a batch and where.
type Error = strict.Error

// Bounds of what has no bound in package policies, in bytes.
const (
	maxID      = 64
	maxPointer = 256
	maxDigest  = 64
	maxTime    = 40
)

// Decode reads a batch. Errors are [*Error].
func Decode(b []byte) (*Batch, error) {
	if len(b) > MaxBytes {
		return nil, &Error{Problem: "larger than " + strconv.Itoa(MaxBytes) + " bytes"}
	}
	var batch Batch
	r := strict.NewReader(b)
	err := r.Object(func(name string) error {
		switch name {
		case "vm":
			return r.String(&batch.VM, maxVM)
		case "records":
			return strict.List(r, &batch.Records, MaxRecords, func(rec *policies.Record) error { return readRecord(r, rec) })
		default:
			return r.Unknown()
		}
	})
	if err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	if batch.VM == "" || len(batch.Records) == 0 {
		return nil, &Error{Problem: "vm or records are missing"}
	}
	for i := range batch.Records {
		if i > 0 && batch.Records[i].Sequence <= batch.Records[i-1].Sequence {
			return nil, &Error{Pointer: "/records/" + strconv.Itoa(i) + "/sequence", Problem: "not above the one before"}
		}
	}
	return &batch, nil
}

// readRecord reads one record, without what its place in the batch demands.
func readRecord(r *strict.Reader, rec *policies.Record) error {
	err := r.Object(func(name string) error { return readMember(r, rec, name) })
	switch {
	case err != nil:
		return err
	case rec.ID == "" || rec.Type == "" || rec.Time.IsZero() || rec.Sequence == 0:
		return r.Fail("type, decision_id, timestamp or sequence is missing")
	}
	return nil
}

func readMember(r *strict.Reader, rec *policies.Record, name string) error {
	switch name {
	case "type":
		return oneOf(r, &rec.Type, policies.RecordDecision, policies.RecordOutcome, policies.RecordCut)
	case "decision_id":
		return r.String(&rec.ID, maxID)
	case "of":
		return r.String(&rec.Of, maxID)
	case "timestamp":
		return readTime(r, &rec.Time)
	case "sequence":
		return readUint(r, &rec.Sequence)
	case "kind":
		return oneOf(r, &rec.Kind, policies.KindMCP, policies.KindLLM, policies.KindHTTP)
	case "consumer":
		return r.String(&rec.Consumer, maxID)
	case "target":
		return r.String(&rec.Target, maxID)
	case "host":
		return r.String(&rec.Host, policies.MaxRecordText)
	case "method":
		return r.String(&rec.Method, policies.MaxRecordText)
	case "name":
		return r.String(&rec.Name, policies.MaxRecordText)
	case "verdict":
		return readVerdict(r, &rec.Verdict)
	case "reason":
		return r.String((*string)(&rec.Reason), maxID)
	case "details":
		return strict.Strings(r, &rec.Details, policies.MaxRecordList, policies.MaxRecordText)
	case "rules":
		return strict.Strings(r, &rec.Rules, policies.MaxRecordList, policies.MaxRecordText)
	case "policy":
		return r.String(&rec.Policy, 2*maxID)
	default:
		return readEnd(r, rec, name)
	}
}

// readEnd reads what is known of a request at its end.
func readEnd(r *strict.Reader, rec *policies.Record, name string) error {
	switch name {
	case "generation":
		return readUint(r, &rec.Generation)
	case "status":
		var n uint64
		err := readUint(r, &n)
		if rec.Status = int(n); err == nil && n > 999 {
			return r.Fail("not an HTTP status")
		}
		return err
	case "request_bytes":
		return readUint(r, &rec.RequestBytes)
	case "response_bytes":
		return readUint(r, &rec.ResponseBytes)
	case "duration_ns":
		var n uint64
		err := readUint(r, &n)
		rec.Duration = time.Duration(n)
		return err
	case "model":
		return r.String(&rec.Model, policies.MaxRecordText)
	case "tokens":
		rec.Tokens = &policies.Tokens{}
		return readTokens(r, rec.Tokens)
	case "arguments_sha256":
		return r.String(&rec.Digest, maxDigest)
	case "arguments":
		return r.Raw((*string)(&rec.Arguments), policies.MaxRecordArguments)
	case "erased":
		return strict.Strings(r, &rec.Erased, policies.MaxRecordList, maxPointer)
	case "masked":
		return strict.Strings(r, &rec.Masked, policies.MaxRecordList, maxPointer)
	default:
		return r.Unknown()
	}
}

func readTokens(r *strict.Reader, t *policies.Tokens) error {
	return r.Object(func(name string) error {
		switch name {
		case "input":
			return readUint(r, &t.Input)
		case "output":
			return readUint(r, &t.Output)
		default:
			return r.Unknown()
		}
	})
}

// oneOf takes one of some words.
func oneOf[T ~string](r *strict.Reader, dst *T, words ...T) error {
	var s string
	if err := r.String(&s, maxID); err != nil {
		return err
	}
	for _, w := range words {
		if T(s) == w {
			*dst = w
			return nil
		}
	}
	return r.Fail("not a known word")
}

func readVerdict(r *strict.Reader, dst *policies.Verdict) error {
	var s string
	if err := r.String(&s, maxID); err != nil {
		return err
	}
	if dst.UnmarshalText([]byte(s)) != nil {
		return r.Fail("not a verdict")
	}
	return nil
}

// readUint takes a number that a database keeps too.
func readUint(r *strict.Reader, dst *uint64) error {
	err := r.Uint64(dst)
	if err == nil && *dst > math.MaxInt64 {
		return r.Fail("larger than 63 bits")
	}
	return err
}

func readTime(r *strict.Reader, dst *time.Time) error {
	var s string
	if err := r.String(&s, maxTime); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Location() != time.UTC {
		return r.Fail("not a time of RFC 3339 in UTC")
	}
	*dst = t
	return nil
}
