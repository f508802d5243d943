package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager"
)

// A Finding is something that is not as it was signed.
type Finding struct {
	First uint64 `json:"first"` // position of the first entry concerned
	Last  uint64 `json:"last"`  // and of the last
	What  string `json:"what"`
}

func (f Finding) String() string {
	if f.First == f.Last {
		return fmt.Sprintf("position %d: %s", f.First, f.What)
	}
	return fmt.Sprintf("positions %d to %d: %s", f.First, f.Last, f.What)
}

// A Report says what [Verify] found.
type Report struct {
	Key         string    `json:"key"`            // that the checkpoints were signed with
	Entries     uint64    `json:"entries"`        // that were read
	Dropped     uint64    `json:"dropped"`        // of them, those of which retention left the hash alone
	Before      uint64    `json:"dropped_before"` // position after the last of those
	Checkpoints int       `json:"checkpoints"`    // that fit
	Findings    []Finding `json:"findings"`       // none: nothing was changed
	More        bool      `json:"more"`           // there are findings beyond those listed
}

// maxFindings bounds a report: a log that was changed in many places is no more
// trusted than one changed in a few.
const maxFindings = 100

// Bounds of an export, in bytes.
const (
	maxHeader = 256 << 20 // a million checkpoints
	maxLine   = 1 << 20
)

// A Trust is what is believed of a log without being shown.
type Trust struct {
	Key         string   // public key; empty: the export's own, which proves nothing about who made it
	Checkpoints []string // kept elsewhere, such as in the Manager's room; in any order
}

// ErrNoExport reports a text that is no export at all.
var ErrNoExport = errors.New("not an export of an audit log")

// Verify reads an export and names whatever is not as it was signed. progress is
// told now and then how many entries were read; nil: nobody is.
func Verify(r io.Reader, trust Trust, progress func(uint64)) (Report, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	first, err := readLine(in, maxHeader)
	if err != nil {
		return Report{}, ErrNoExport
	}
	v := &verifier{report: Report{Findings: []Finding{}}}
	if err := v.begin(first, trust); err != nil {
		return v.report, err
	}
	for {
		line, err := readLine(in, maxLine)
		if err == io.EOF {
			break
		}
		if err != nil && err != errNoEnd && err != errLong {
			return v.report, err
		}
		if err != nil {
			v.find(v.next, v.next, "%v", err)
			break
		}
		v.entry(line)
		if progress != nil && v.report.Entries%50_000 == 0 {
			progress(v.report.Entries)
		}
	}
	v.end()
	return v.report, nil
}

var (
	errNoEnd = errors.New("the line of the entry has no end")
	errLong  = errors.New("the line of the entry is too long")
)

// readLine returns a line without its end, valid until the next call. [io.EOF]:
// there is none.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	var b []byte
	for err == bufio.ErrBufferFull {
		if b = append(b, line...); len(b) > limit {
			return nil, errLong
		}
		line, err = in.ReadSlice('\n')
	}
	b = append(b, line...)
	switch {
	case err == nil:
		return b[:len(b)-1], nil
	case err == io.EOF && len(b) > 0:
		return nil, errNoEnd
	default:
		return nil, err
	}
}

// A verifier is in the middle of an export.
type verifier struct {
	report  Report
	size    uint64        // entries that the export claims
	signed  []signedState // what the tree must be, smallest first
	good    uint64        // size up to which the tree was found right
	broken  bool          // the tree is not right: no later state can fit
	next    uint64        // position that comes next
	tree    stack
	dropped uint64 // position after the last one that was dropped; 0: none
	allowed uint64 // positions below may be dropped
}

type signedState struct {
	State
	foreign bool // from elsewhere than the export
}

func (v *verifier) find(first, last uint64, format string, args ...any) {
	if len(v.report.Findings) == maxFindings {
		v.report.More = true
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{first, last, fmt.Sprintf(format, args...)})
}

func (v *verifier) begin(line []byte, trust Trust) error {
	var h header
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil || h.Format != Format {
		return ErrNoExport
	}
	if again, err := h.line(); err != nil || string(again) != string(line)+"\n" {
		v.find(0, 0, "the first line is not as an export has it")
	}
	if trust.Key != "" && h.Key != trust.Key {
		v.find(0, 0, "the export names another key than the trusted one")
	} else {
		trust.Key = h.Key
	}
	key, err := ParsePublicKey(trust.Key)
	if err != nil {
		return err
	}
	v.report.Key, v.size = trust.Key, h.Size
	v.states(h.Checkpoints, key, false)
	if n := len(v.signed); n == 0 || v.signed[n-1].Size != h.Size {
		v.find(0, h.Size, "no checkpoint covers the export")
	}
	v.states(trust.Checkpoints, key, true)
	return nil
}

// states adds checkpoints to those that the tree must fit.
func (v *verifier) states(checkpoints []string, key note.Verifier, foreign bool) {
	last := uint64(0)
	for i, c := range checkpoints {
		s, err := Open(c, key)
		switch {
		case err != nil && foreign:
			v.find(0, 0, "checkpoint %d from elsewhere is not signed with key %s", i+1, key.Name())
		case err != nil:
			v.find(last, last, "the checkpoint after this position is not what was signed")
		case !foreign && s.Size <= last:
			v.find(s.Size, last, "checkpoints out of order")
		default:
			v.signed = append(v.signed, signedState{s, foreign})
			last = s.Size
		}
	}
	sortStates(v.signed)
}

// entry takes the line of the next entry.
func (v *verifier) entry(line []byte) {
	position, hash, body, ok := parseLine(line)
	if !ok {
		v.find(v.next, v.next, "the line is not as an export has it")
		v.broken = true
		v.next++
		return
	}
	switch {
	case position > v.next:
		v.find(v.next, position-1, "missing")
		v.broken = true
	case position < v.next:
		v.find(position, position, "out of place: found where position %d belongs", v.next)
		v.broken = true
	}
	v.report.Entries++
	v.next = max(v.next, position) + 1
	switch {
	case body == nil:
		v.report.Dropped++
		v.dropped = position + 1
	case manager.LeafHash(body) != hash:
		v.find(position, position, "the entry is not what was written")
	default:
		v.action(body)
	}
	if !v.broken {
		v.tree.add(hash)
		v.check()
	}
}

// action notes the entries that allow earlier ones to be dropped.
func (v *verifier) action(body []byte) {
	if !bytes.HasPrefix(body, []byte(`{"kind":"action"`)) || !bytes.Contains(body, []byte(`"log.drop"`)) {
		return
	}
	var e manager.Entry
	if json.Unmarshal(body, &e) != nil || e.Event == nil || e.Event.Action != "log.drop" {
		return
	}
	if before, err := strconv.ParseUint(e.Event.Object, 10, 63); err == nil {
		v.allowed = max(v.allowed, before)
	}
}

// check compares the tree with what was signed at this size.
func (v *verifier) check() {
	for len(v.signed) > 0 && v.signed[0].Size <= v.tree.size {
		s := v.signed[0]
		v.signed = v.signed[1:]
		if s.Size < v.tree.size {
			continue // size 0
		}
		if v.tree.root() != s.Root {
			v.find(v.good, s.Size-1, "not what was signed%s", elsewhere(s.foreign))
			v.broken = true
			return
		}
		v.report.Checkpoints++
		v.good = s.Size
	}
}

func elsewhere(foreign bool) string {
	if foreign {
		return " in a checkpoint from elsewhere"
	}
	return ""
}

func (v *verifier) end() {
	if v.next < v.size {
		v.find(v.next, v.size-1, "missing at the end")
	}
	if v.next > v.size {
		v.find(v.size, v.next-1, "beyond the end of the export")
	}
	for _, s := range v.signed {
		if s.foreign && s.Size > v.size {
			v.find(v.size, s.Size-1, "missing: a checkpoint from elsewhere covers more than the export")
		}
	}
	v.report.Before = v.dropped
	if v.dropped > v.allowed {
		v.find(v.allowed, v.dropped-1, "text is missing that no action log.drop took away")
	}
}

// parseLine reads the line of an entry; body is nil when it was dropped.
func parseLine(line []byte) (position uint64, hash tlog.Hash, body []byte, ok bool) {
	rest, ok1 := bytes.CutPrefix(line, []byte(`{"position":`))
	digits, rest, ok2 := bytes.Cut(rest, []byte(`,"hash":"`))
	if !ok1 || !ok2 || len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(digits) > 1 {
		return 0, hash, nil, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, hash, nil, false
		}
		position = position*10 + uint64(c-'0')
	}
	const encoded = 44 // base64 of 32 bytes
	if len(rest) < encoded+2 || rest[encoded] != '"' {
		return 0, hash, nil, false
	}
	var raw [33]byte
	n, err := base64.StdEncoding.Strict().Decode(raw[:], rest[:encoded])
	if err != nil || n != len(hash) {
		return 0, hash, nil, false
	}
	hash = tlog.Hash(raw[:32])
	rest = rest[encoded+1:]
	if string(rest) == "}" {
		return position, hash, nil, true
	}
	body, ok1 = bytes.CutPrefix(rest, []byte(`,"entry":`))
	body, ok2 = bytes.CutSuffix(body, []byte("}"))
	return position, hash, body, ok1 && ok2 && len(body) > 0
}
