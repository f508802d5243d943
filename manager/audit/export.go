package audit

import (
	"bufio"
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

// exportPage is how many entries are read at once.
const exportPage = 1000

// Export writes the whole log up to now, with all its checkpoints, in a form that
// [Verify] reads.
func (k *Keeper) Export(ctx context.Context, w io.Writer) error {
	last, err := k.Checkpoint(ctx)
	if err != nil {
		return err
	}
	h := header{Format: Format, Key: k.PublicKey(), Size: last.Size}
	for after := uint64(0); after < last.Size; {
		page, err := k.store.Checkpoints(ctx, after, exportPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("audit: the checkpoint of %d entries is gone", last.Size)
		}
		for _, c := range page {
			if after = c.Size; after <= last.Size {
				h.Checkpoints = append(h.Checkpoints, c.Note)
			}
		}
	}
	line, err := h.line()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.Write(line); err != nil {
		return err
	}
	if err := k.exportEntries(ctx, out, last.Size); err != nil {
		return err
	}
	return out.Flush()
}

func (k *Keeper) exportEntries(ctx context.Context, out io.Writer, size uint64) error {
	var line []byte
	for next := uint64(0); next < size; {
		page, err := k.store.Log(ctx, next, int(min(exportPage, size-next)))
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("audit: the log has no entry at position %d", next)
		}
		for i := range page {
			line = appendLine(line[:0], &page[i])
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		next = page[len(page)-1].Position + 1
	}
	return nil
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
