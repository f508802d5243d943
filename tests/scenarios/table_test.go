package scenarios_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Row is one request and what must become of it.
type Row struct {
	File string `json:"-"`
	Name string `json:"name"`
	Like string `json:"like"`
	Message
	Protocols []string         `json:"protocols"`
	Not       []string         `json:"not"` // gateways that it says nothing of
	Snapshot  string           `json:"snapshot"`
	Answer    Answer           `json:"answer"`
	Want      Want             `json:"want"`
	On        map[string]*Want `json:"on"`
}

// A Message is a request as a client sends it.
type Message struct {
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]Values `json:"headers"`
	Body     *Body             `json:"body"`
	Trailers map[string]Values `json:"trailers"`
}

// An Answer is what the upstream says when it is reached. The zero value is 200
// with a short JSON document.
type Answer struct {
	Status   int               `json:"status"`
	Headers  map[string]Values `json:"headers"`
	Body     *Body             `json:"body"`
	Trailers map[string]Values `json:"trailers"`
	Reset    bool              `json:"reset"` // close the connection in place of an answer
}

// Want is what must become of a request.
type Want struct {
	Status   int                `json:"status"`
	Reason   string             `json:"reason"`
	ID       json.RawMessage    `json:"id"`
	Upstream *Seen              `json:"upstream"` // nil: nothing reached it
	Headers  map[string]*string `json:"headers"`  // of the answer; null: not there
	Body     *Body              `json:"body"`     // nil: not compared
	Has      []string           `json:"has"`
	Lacks    []string           `json:"lacks"`
	Cut      bool               `json:"cut"` // the answer ends before it is whole
}

// Seen is what the upstream must have seen. An empty path or a nil body stands
// for what the client sent.
type Seen struct {
	Path     string             `json:"path"`
	Headers  map[string]*string `json:"headers"`
	Body     *Body              `json:"body"`
	Trailers map[string]*string `json:"trailers"`
}

// Values are the values of one header, in order; none removes it.
type Values []string

// UnmarshalJSON takes a string, a list of strings or null.
func (v *Values) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(v))
	}
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*v = Values{}
	if s != nil {
		*v = Values{*s}
	}
	return nil
}

// A Body is a list of pieces.
type Body struct {
	Pieces []Piece
	Open   bool // its length is not announced
}

// A Piece is a part of a body, sent after a pause.
type Piece struct {
	Text  string `json:"text"`
	Times int    `json:"times"` // repeats Text; 0 is once
	Pause int    `json:"pause_ms"`
}

// UnmarshalJSON takes an object, a string or a list; see the package comment.
func (b *Body) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case '{':
		b.Pieces = []Piece{{Text: string(raw)}}
		return nil
	case '"':
		b.Pieces = make([]Piece, 1)
		return json.Unmarshal(raw, &b.Pieces[0].Text)
	}
	b.Open = true
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	for _, item := range list {
		var p Piece
		to := any(&p)
		if item[0] == '"' {
			to = &p.Text
		}
		if err := strict(item, to); err != nil {
			return err
		}
		b.Pieces = append(b.Pieces, p)
	}
	return nil
}

// piece is what is sent at once.
type piece struct {
	data  []byte
	after time.Duration
}

// pieces are the body with its placeholders filled in; nil for no body.
func (b *Body) pieces(fill func(string) string) []piece {
	if b == nil {
		return nil
	}
	list := make([]piece, 0, len(b.Pieces))
	for _, p := range b.Pieces {
		text := strings.Repeat(fill(p.Text), max(p.Times, 1))
		list = append(list, piece{[]byte(text), time.Duration(p.Pause) * time.Millisecond})
	}
	return list
}

// bytes is the whole body.
func (b *Body) bytes(fill func(string) string) []byte {
	var all []byte
	for _, p := range b.pieces(fill) {
		all = append(all, p.data...)
	}
	return all
}

// wants is what is expected of a gateway.
func (r *Row) wants(gateway string) *Want {
	if w := r.On[gateway]; w != nil {
		return w
	}
	return &r.Want
}

// loadTable reads every row, or fails the test.
func loadTable(t *testing.T) []*Row {
	t.Helper()
	var requests map[string]Message
	readJSON(t, filepath.Join("testdata", "requests.json"), &requests)
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []*Row
	names := map[string]bool{}
	for _, file := range files {
		if filepath.Base(file) == "requests.json" {
			continue
		}
		var part []*Row
		readJSON(t, file, &part)
		for _, r := range part {
			r.File = strings.TrimSuffix(filepath.Base(file), ".json")
			like, ok := requests[r.Like]
			if !ok || r.Name == "" || names[r.File+r.Name] || r.Want.Status == 0 {
				t.Fatalf("%s: row %q is like no request, named twice or wants no status", file, r.Name)
			}
			names[r.File+r.Name] = true
			r.Message = merge(like, r.Message)
			if len(r.Protocols) == 0 {
				r.Protocols = []string{"h1"}
			}
			if r.Snapshot == "" {
				r.Snapshot = "base"
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// merge lays a row's changes over the request that it is like.
func merge(m, change Message) Message {
	if change.Method != "" {
		m.Method = change.Method
	}
	if change.Path != "" {
		m.Path = change.Path
	}
	if change.Body != nil {
		m.Body = change.Body
	}
	m.Headers = maps.Clone(m.Headers)
	maps.Copy(m.Headers, change.Headers)
	m.Trailers = change.Trailers
	return m
}

func readJSON(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = strict(b, to)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// strict decodes one JSON value without unknown members.
func strict(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	return nil
}
