package snapshot

import (
	"strconv"

	"keyward/plugins/internal/strict"
)

// A Page is a snapshot, a delta or a part of one for those who keep entries and
// don't use them: entries as they stand in it, with what they are found by.
// Whether a consumer or a credential is well formed beyond that, who looks it up
// finds out; so a page of consumers with many grants costs little.
type Page struct {
	Epoch      string
	Generation uint64
	Since      uint64  // 0: whole
	Policy     *Policy // nil: unchanged
	SessionKey []byte  // nil: unchanged
	Removed    *Removed

	Targets, Consumers, Credentials []Entry
}

// An Entry is the text of one target, consumer or credential.
type Entry struct {
	ID     string
	Text   []byte     // part of the page
	Tokens [][32]byte // digests of a consumer's tokens
}

// DecodePage reads a page. Its strings are parts of one copy of b. It does without
// what is generic, of which each use is another copy in a plugin.
func DecodePage(b []byte) (*Page, error) {
	if len(b) > MaxBytes {
		return nil, fault("", "larger than "+strconv.Itoa(MaxBytes)+" bytes")
	}
	var p Page
	var head Snapshot
	r := strict.NewReader(b)
	err := r.Object(func(name string) error {
		switch name {
		case "targets":
			return readEntries(r, &p.Targets, MaxTargets, name)
		case "consumers":
			return readEntries(r, &p.Consumers, MaxConsumers, name)
		case "credentials":
			return readEntries(r, &p.Credentials, MaxCredentials, name)
		default:
			return readHead(r, &head, name)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	p.Epoch, p.Generation, p.Since, p.Policy, p.Removed = head.Epoch, head.Generation, head.Since, head.Policy, head.Removed
	p.SessionKey = head.SessionKey
	if e := p.check(&head); e != nil {
		return nil, e
	}
	return &p, nil
}

func readEntries(r *strict.Reader, dst *[]Entry, limit int, list string) error {
	return r.Array(limit, func() error {
		var e Entry
		text, err := r.Text(func() error { return e.read(r, list) })
		e.Text = text
		*dst = append(*dst, e)
		return err
	})
}

// read reads all of a target, since every VM needs all of them at once, and of
// others what they are found by.
func (e *Entry) read(r *strict.Reader, list string) error {
	if list == "targets" {
		var t Target
		if err := readTarget(r, &t); err != nil {
			return err
		}
		e.ID = t.ID
		if fault := checkTarget(&t); fault != nil {
			return r.Fail(fault.Problem)
		}
		return nil
	}
	return r.Object(func(name string) error {
		switch {
		case name == "id":
			return r.String(&e.ID, MaxIDBytes)
		case name == "tokens" && list == "consumers":
			return r.Array(MaxTokens, func() error {
				var t Token
				if err := readToken(r, &t); err != nil {
					return err
				}
				d, ok := digest(t.SHA256)
				if !ok {
					return r.Fail("sha256 must be 64 lower-case hex digits")
				}
				e.Tokens = append(e.Tokens, d)
				return nil
			})
		default:
			return r.Skip()
		}
	})
}

// TokenDigests are the digests of a consumer's tokens, of its text in a page.
func TokenDigests(consumer []byte) ([][32]byte, error) {
	var e Entry
	err := e.read(strict.NewReader(consumer), "consumers")
	return e.Tokens, err
}

func (p *Page) check(head *Snapshot) *Error {
	if e := checkHead(head); e != nil {
		return e
	}
	gone := p.Removed
	if gone == nil {
		gone = &Removed{}
	}
	return first(
		checkEntries("/targets", p.Targets, gone.Targets),
		checkEntries("/consumers", p.Consumers, gone.Consumers),
		checkEntries("/credentials", p.Credentials, gone.Credentials),
	)
}

func checkEntries(pointer string, changed []Entry, removed []string) *Error {
	ids := make([]string, len(changed))
	for i := range changed {
		ids[i] = changed[i].ID
	}
	return first(checkGone(pointer, ids, nil), checkGone("/removed"+pointer, removed, ids))
}
