package manager

import "time"

// A Gateway is one process that polls the Manager, with what was last heard of
// it.
type Gateway struct {
	Meta
	Epoch      string    `json:"epoch,omitempty" doc:"Epoch that it last confirmed; absent: none yet"`
	Confirmed  uint64    `json:"confirmed" doc:"Generation in force on all its worker threads"`
	Behind     uint64    `json:"behind" doc:"Generations that it is behind the Manager"`
	LastSeen   time.Time `json:"last_seen,omitzero" doc:"Last time that it called; absent: never"`
	Connection string    `json:"connection" enum:"never,connected,lost" doc:"lost: not seen for longer than a poll may take"`
}

// Lags reports whether g, which is connected, has not confirmed a generation of a
// Manager in state st. What it says of a generation to come confirms nothing.
func (g Gateway) Lags(st Status, generation uint64) bool {
	return g.Connection == "connected" && (g.Epoch != st.Epoch || g.Confirmed < generation || g.Confirmed > st.Generation)
}

// GatewayLost is how long a gateway may be silent before it counts as lost: one
// long poll and its back-off.
const GatewayLost = 90 * time.Second

// A GatewaySpec is a gateway that is to be made known.
type GatewaySpec struct {
	ID string `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Stable name of the gateway"`
}

// Validate checks s.
func (s GatewaySpec) Validate() error {
	if !ValidID(s.ID) {
		return invalid("id", "must match %s", IDPattern)
	}
	return nil
}

// A Status is the state of the Manager as a whole.
type Status struct {
	Epoch      string `json:"epoch" doc:"Life of this sequence of generations"`
	Generation uint64 `json:"generation" doc:"Counts every change"`
	Policy     string `json:"policy,omitempty" doc:"Live policy version; absent: none, so everything is denied"`
	GatewayKey string `json:"gateway_key,omitempty" doc:"Public key by which gateways know this Manager's answers; goes into their configuration"`
	Consumers  int64  `json:"consumers"`
	Targets    int64  `json:"targets"`
	Grants     int64  `json:"grants"`
	Gateways   int64  `json:"gateways"`
}
