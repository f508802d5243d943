package manager

import (
	"bytes"
	"context"
)

// A Launcher runs Workers in containers. Every method may be called again after
// a crash, and then finishes what it had begun. It keeps no state beside the
// backend's own.
type Launcher interface {
	// Fetch makes sure that an image can be launched, as far as the backend can tell
	// before. It touches no container. [ErrState] and [ErrInvalid]: it can't be had.
	Fetch(ctx context.Context, image string) error
	// Launch brings a Worker's container to run, in the place of any other of the
	// same Worker. One of the same run is kept.
	Launch(ctx context.Context, l Launch) (Instance, error)
	// Instance returns what is there of a Worker; [ErrNotFound]: nothing.
	Instance(ctx context.Context, worker string) (Instance, error)
	// Instances returns what is there of all Workers of this Manager.
	Instances(ctx context.Context) ([]Instance, error)
	// Stop ends a Worker's processes, and keeps the container.
	Stop(ctx context.Context, worker string) error
	// Start lets a stopped container run again.
	Start(ctx context.Context, worker string) error
	// Replace gives a Worker other files without a restart.
	Replace(ctx context.Context, l Launch) error
	// Remove takes away all that is there of a Worker; nothing there is no error.
	Remove(ctx context.Context, worker string) error
	// Logs returns the end of what a Worker wrote, of at most lines lines and
	// [MaxLogBytes].
	Logs(ctx context.Context, worker string, lines int) ([]byte, error)
}

// Bounds of fetched logs.
const (
	MaxLogLines = 10_000
	MaxLogBytes = 1 << 20
)

// A LogTail keeps the last [MaxLogBytes] that are written to it.
type LogTail struct{ b bytes.Buffer }

// Write never fails.
func (t *LogTail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if over := t.b.Len() - MaxLogBytes; over > 0 {
		t.b.Next(over)
	}
	return len(p), nil
}

// Bytes are what is kept.
func (t *LogTail) Bytes() []byte { return t.b.Bytes() }
