package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"

	"keyward/manager"
	"keyward/manager/matrix/message"
)

// checkpointEvery is the time between two checkpoints in the room. Each covers
// all before it, so that those between may be left out.
const checkpointEvery = time.Minute

// checkpoints shows the newest checkpoint of the log in the Manager's room now
// and then, until ctx is done.
func (s *Service) checkpoints(ctx context.Context) error {
	st, err := s.store.Generation(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(s.opt.CheckpointEvery)
	defer tick.Stop()
	for shown := uint64(0); ctx.Err() == nil; {
		c, at, err := s.opt.Checkpoint(ctx)
		switch {
		case errors.Is(err, manager.ErrNotFound):
		case err != nil:
			return err
		case c.Size > shown:
			place, err := s.place(ctx, manager.ManagerRoom)
			if err != nil {
				return err
			}
			content := message.OfCheckpoint(c, at)
			// Sent again after a restart, it is the same message or does no harm.
			sum := sha256.Sum256([]byte(st.Epoch + "\x00checkpoint\x00" + strconv.FormatUint(c.Size, 10)))
			_, err = s.api().SendMessageEvent(ctx, place, event.EventMessage, content, mautrix.ReqSendEvent{TransactionID: "kwp" + hex.EncodeToString(sum[:16])})
			if err != nil {
				return err
			}
			shown = c.Size
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return ctx.Err()
}
