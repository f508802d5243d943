package message

import (
	"strconv"
	"strings"
	"time"
)

// maxNote bounds a signed note, in bytes: origin, size, root and a signature or
// two.
const maxNote = 4 << 10

// A Checkpoint is a message's field for machines that holds a signed state of
// the audit log.
type Checkpoint struct {
	Size uint64 `json:"size"`
	Note string `json:"note"` // c2sp.org/tlog-checkpoint
}

// OfCheckpoint renders a checkpoint: a room that keeps it contradicts a log that
// is rewritten. A note that is no note shows by its size alone.
func OfCheckpoint(c Checkpoint, at time.Time) Content {
	root := ""
	if parts := strings.SplitN(c.Note, "\n", 4); len(parts) == 4 {
		root = parts[2]
	}
	l := new(line)
	l.strong("🔏 " + clock(at) + " checkpoint")
	l.own(" · the log has " + strconv.FormatUint(c.Size, 10) + " entries")
	l.foreign(" · root ", root, maxName)
	content := contentOf([]*line{l})
	if len(c.Note) <= maxNote {
		content.Checkpoint = &c
	}
	return content
}
