package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"keyward/manager"
)

// Format names the form of an export; a reader refuses any other.
const Format = "keyward.log/1"

// A header is the first line of an export. Each line after it is one entry, from
// position 0 on:
//
//	{"position":0,"hash":"BASE64","entry":{...}}
//
// or, without entry, one whose text was dropped. There is one way to write each
// line, so that no byte can be changed that nobody would miss.
type header struct {
	Format      string   `json:"format"`
	Key         string   `json:"key"`
	Size        uint64   `json:"size"`
	Checkpoints []string `json:"checkpoints"` // smallest first; the last covers all
}

func (h header) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(h)
	return b.Bytes(), err
}

// Bounds of a part of an export.
const (
	exportPage  = 1000    // entries that are read at once
	exportBytes = 4 << 20 // after which a part ends; one entry may be larger
)

// Export writes the whole log up to now, with all its checkpoints, in a form that
// [Verify] reads.
func (k *Keeper) Export(ctx context.Context, w io.Writer) error {
	part, size, err := k.ExportHead(ctx)
	for next := uint64(0); err == nil; {
		if _, err := w.Write(part); err != nil || next == size {
			return err
		}
		part, next, err = k.ExportPart(ctx, size, next)
	}
	return err
}

// ExportHead returns the first line of an export of the log up to now, and how
// many entries belong to it.
func (k *Keeper) ExportHead(ctx context.Context) (line []byte, size uint64, err error) {
	last, err := k.Checkpoint(ctx)
	if err != nil {
		return nil, 0, err
	}
	h := header{Format: Format, Key: k.PublicKey(), Size: last.Size}
	for after := uint64(0); after < last.Size; {
		page, err := k.store.Checkpoints(ctx, after, exportPage)
		if err != nil {
			return nil, 0, err
		}
		if len(page) == 0 {
			return nil, 0, fmt.Errorf("audit: the checkpoint of %d entries is gone", last.Size)
		}
		for _, c := range page {
			if after = c.Size; after <= last.Size {
				h.Checkpoints = append(h.Checkpoints, c.Note)
			}
		}
	}
	line, err = h.line()
	return line, last.Size, err
}

// ExportPart returns lines of an export of size entries, from a position on, and
// the position of the next part: size after the last.
func (k *Keeper) ExportPart(ctx context.Context, size, from uint64) (lines []byte, next uint64, err error) {
	if err := k.within(ctx, size); err != nil {
		return nil, 0, err
	}
	if from >= size {
		return nil, 0, &manager.FieldError{Field: "from", Why: fmt.Sprintf("is not below size %d", size)}
	}
	page, err := k.store.Log(ctx, from, int(min(exportPage, size-from)))
	if err != nil {
		return nil, 0, err
	}
	if len(page) == 0 || page[0].Position != from {
		return nil, 0, fmt.Errorf("audit: the log has no entry at position %d", from)
	}
	for i := range page {
		lines = appendLine(lines, &page[i])
		if next = page[i].Position + 1; len(lines) > exportBytes {
			break
		}
	}
	return lines, next, nil
}

func appendLine(b []byte, e *manager.LogEntry) []byte {
	b = append(b, `{"position":`...)
	b = strconv.AppendUint(b, e.Position, 10)
	b = append(b, `,"hash":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.Hash[:])
	b = append(b, '"')
	if e.Body != nil {
		b = append(b, `,"entry":`...)
		b = append(b, e.Body...)
	}
	return append(b, "}\n"...)
}
