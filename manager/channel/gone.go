package channel

import (
	"context"
	"log/slog"
	"time"
)

// silence is after how long a gateway's instance counts as gone. One that is there
// asks at least every half minute, and after a failure as often.
const (
	silence  = 90 * time.Second
	lookGone = 15 * time.Second
)

// Watch notes in the log which gateways are gone, until ctx is done: a killed one
// may have decided what it could not send any more.
func (c *Channel) Watch(ctx context.Context) {
	wait := silence // who was here before this Manager was has time to come back
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = lookGone
		if _, err := c.store.EndGateways(ctx, c.opt.Now().Add(-silence)); err != nil && ctx.Err() == nil {
			c.opt.Log.LogAttrs(ctx, slog.LevelError, "can't note which gateways are gone", slog.Any("error", err))
		}
	}
}
