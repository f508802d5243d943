package manager

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"time"

	"keyward/policies"
)

// An EntryKind says what an entry of the audit log tells.
type EntryKind string

// The kinds of an entry.
const (
	EntryDecision EntryKind = "decision" // Record: what a gateway decided
	EntryOutcome  EntryKind = "outcome"  // Record: how a request ended whose decision came before
	EntryCut      EntryKind = "cut"      // Record: an open stream was ended
	EntryAction   EntryKind = "action"   // Event: what was changed in the Manager
	EntryGap      EntryKind = "gap"      // Gap: records of a gateway that never came
	EntryDropped  EntryKind = "dropped"  // nothing but the hash is left: retention took it
	EntryDamaged  EntryKind = "damaged"  // the store holds something else than was written
)

// An Entry is what one entry of the audit log says: what its hash is over.
type Entry struct {
	Kind    EntryKind        `json:"kind" doc:"What the entry tells"`
	Time    time.Time        `json:"time" doc:"When it was stored"`
	Gateway string           `json:"gateway,omitempty" doc:"Gateway that sent the record"`
	VM      string           `json:"vm,omitempty" doc:"Its VM; sequence numbers count within one"`
	Record  *policies.Record `json:"record,omitempty" doc:"Of a decision, an outcome, a cut"`
	Event   *Event           `json:"event,omitempty" doc:"Of an action"`
	Gap     *Gap             `json:"gap,omitempty" doc:"Of a gap"`
}

// Consumer is the consumer that the entry is about; empty: none.
func (e Entry) Consumer() string {
	switch {
	case e.Record != nil:
		return e.Record.Consumer
	case e.Event != nil && e.Event.Kind == KindConsumer:
		return e.Event.Object
	default:
		return ""
	}
}

// Encode returns the text of e that the log keeps: JSON on one line.
func (e Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // text of a client stays as it came
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// A Gap is a run of sequence numbers of one VM that came to nothing: the gateway
// lost these records, or chose to let calls go on without.
type Gap struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Open  bool   `json:"open,omitempty" doc:"The VM ended: how many there were from the first on, if any, is not known"`
}

// A Proof is a chain of hashes that leads from a part of the log's tree to its
// root; RFC 6962 section 2.1.
type Proof struct {
	Size   uint64   `json:"size" doc:"Entries of the tree that it leads to"`
	Root   string   `json:"root" doc:"Root hash of that tree, base64"`
	Hashes []string `json:"hashes" doc:"From the bottom up, base64"`
}

// A LogEntry is an entry at its place in the audit log.
type LogEntry struct {
	Position uint64 `json:"position" doc:"Place in the log, from 0, without gaps"`
	Entry
	Body []byte   `json:"-"` // the text that the hash is over; nil: dropped
	Hash [32]byte `json:"-"` // RFC 6962 leaf hash of the text as it was written
}

// LeafHash is the hash of an entry's text as a leaf of the log's Merkle tree;
// RFC 6962 section 2.1.
func LeafHash(body []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// A Checkpoint is a signed state of the log: whoever keeps one can tell whether
// anything before it was changed since.
type Checkpoint struct {
	Size uint64    `json:"size" doc:"Entries that it covers: those at positions below"`
	Time time.Time `json:"time"`
	Note string    `json:"note" doc:"Signed note (c2sp.org/tlog-checkpoint): origin, size, root hash, signature"`
}
