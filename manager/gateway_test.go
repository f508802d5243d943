package manager

import (
	"testing"
	"time"
)

func TestAGatewayConfirmsWhatAllItsConnectedInstancesHave(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	st := Status{Epoch: "e", Generation: 9}
	in := func(epoch string, confirmed uint64, ago time.Duration) GatewayInstance {
		return GatewayInstance{Epoch: epoch, Confirmed: confirmed, LastSeen: now.Add(-ago)}
	}
	for _, tt := range []struct {
		name       string
		instances  []GatewayInstance
		connection string
		confirmed  uint64
		lags       bool // behind generation 8
	}{
		{"never seen", nil, "never", 0, false},
		{"one that has it", []GatewayInstance{in("e", 8, 0)}, "connected", 8, false},
		{"one of two has it", []GatewayInstance{in("e", 9, 0), in("e", 7, 0)}, "connected", 7, true},
		{"the other one has it", []GatewayInstance{in("e", 7, 0), in("e", 9, 0)}, "connected", 7, true},
		{"one is in another epoch", []GatewayInstance{in("e", 8, 0), in("old", 800, 0)}, "connected", 800, true},
		{"the first is in another epoch", []GatewayInstance{in("old", 800, 0), in("e", 8, 0)}, "connected", 800, true},
		{"one has nothing yet", []GatewayInstance{in("e", 8, 0), in("", 0, 0)}, "connected", 0, true},
		{"one tells of a generation to come", []GatewayInstance{in("e", 8, 0), in("e", 10, 0)}, "connected", 10, true},
		{"the one behind is gone", []GatewayInstance{in("e", 8, 0), in("e", 7, GatewayLost+1)}, "connected", 8, false},
		{"all are gone", []GatewayInstance{in("e", 8, GatewayLost+1), in("e", 7, GatewayLost+1)}, "lost", 7, false},
	} {
		g := Gateway{Instances: tt.instances}
		g.Sum(st, now)
		if g.Connection != tt.connection || g.Confirmed != tt.confirmed || g.Lags(st, 8) != tt.lags {
			t.Errorf("%s: %s, confirmed %d, lags %v", tt.name, g.Connection, g.Confirmed, g.Lags(st, 8))
		}
	}
}
