package matrix

import (
	"slices"
	"testing"

	"keyward/manager"
	"keyward/manager/matrix/message"
)

// TestHealthIsToldInBothRooms: how a Worker is shows in its own room and in the
// Manager's, with the reason; what is merely done to it in the Manager's alone.
func TestHealthIsToldInBothRooms(t *testing.T) {
	const own = "worker:worker-researcher"
	d := &directory{rooms: map[string]manager.Room{own: {}}, shared: map[string][]string{"worker-researcher": {"shared:team"}}}
	for action, want := range map[string][]string{
		"worker.is-stuck":    {manager.ManagerRoom, own},
		"worker.suspend":     {manager.ManagerRoom, own},
		"worker.sleep":       {manager.ManagerRoom, own},
		"worker.wake":        {manager.ManagerRoom, own},
		"worker.token":       {manager.ManagerRoom},
		"worker.settle":      {manager.ManagerRoom},
		"consumer.is-stuck":  {manager.ManagerRoom},
		"gateway.is-unknown": {manager.ManagerRoom},
	} {
		e, ok := new(Service).shown(manager.LogEntry{Entry: manager.Entry{
			Kind: manager.EntryAction, Event: &manager.Event{Action: action, Kind: manager.KindWorker, Object: "researcher", Note: "it is <b>so</b>"},
		}})
		if got := d.roomsOf(e); !ok || !slices.Equal(got, want) {
			t.Errorf("%s shows in %q, want %q", action, got, want)
		}
		if !slices.Equal(e.Details, []string{"it is <b>so</b>"}) || e.Kind != message.Action {
			t.Errorf("%s shows %+v", action, e)
		}
	}
}
