package manager

import (
	"slices"
	"time"
)

// A Gateway is what polls the Manager with one token, with what was last heard of
// it.
type Gateway struct {
	Meta
	Epoch      string            `json:"epoch,omitempty" doc:"Epoch that the instance furthest behind last confirmed; absent: none yet"`
	Confirmed  uint64            `json:"confirmed" doc:"Generation in force on all worker threads of all connected instances"`
	Behind     uint64            `json:"behind" doc:"Generations that it is behind the Manager"`
	LastSeen   time.Time         `json:"last_seen,omitzero" doc:"Last time that it called; absent: never"`
	Connection string            `json:"connection" enum:"never,connected,lost" doc:"lost: not seen for longer than a poll may take"`
	Builds     []string          `json:"builds,omitempty" doc:"Builds of plugins in its connected instances"`
	Instances  []GatewayInstance `json:"instances,omitempty" doc:"Of whom that was heard"`
}

// A GatewayInstance is one plugin in all VMs of one process, or both plugins where they
// share data. What it confirms is in force there for every request to come.
type GatewayInstance struct {
	ID        string    `json:"id" doc:"By lot; another one when the process starts anew"`
	Build     string    `json:"build,omitempty" doc:"Plugin and what it was built from; absent: not told"`
	Epoch     string    `json:"epoch,omitempty" doc:"Epoch that it last confirmed; absent: none yet"`
	Confirmed uint64    `json:"confirmed" doc:"Generation in force on all its worker threads"`
	LastSeen  time.Time `json:"last_seen"`
}

// lags reports whether i has not confirmed a generation of a Manager in state st.
// What it says of a generation to come confirms nothing.
func (i GatewayInstance) lags(st Status, generation uint64) bool {
	return i.Epoch != st.Epoch || i.Confirmed < generation || i.Confirmed > st.Generation
}

// Sum fills in what g's instances together say at a time, for a Manager in state
// st. Those that were lost count only where all were.
func (g *Gateway) Sum(st Status, now time.Time) {
	g.Connection, g.Behind = "never", st.Generation
	connected := slices.DeleteFunc(slices.Clone(g.Instances), func(i GatewayInstance) bool { return now.Sub(i.LastSeen) > GatewayLost })
	counts := connected
	switch {
	case len(connected) > 0:
		g.Connection = "connected"
	case len(g.Instances) > 0:
		g.Connection, counts = "lost", g.Instances
	}
	for n, i := range counts {
		if i.Build != "" && !slices.Contains(g.Builds, i.Build) {
			g.Builds = append(g.Builds, i.Build)
		}
		if i.LastSeen.After(g.LastSeen) {
			g.LastSeen = i.LastSeen
		}
		// Whoever is in another epoch is further behind than anybody in this one.
		if n == 0 || !g.confirmation().lags(st, 0) && (i.lags(st, 0) || i.Confirmed < g.Confirmed) {
			g.Epoch, g.Confirmed = i.Epoch, i.Confirmed
		}
	}
	slices.Sort(g.Builds)
	if g.Epoch == st.Epoch && g.Confirmed <= st.Generation {
		g.Behind -= g.Confirmed
	}
}

// confirmation is what g confirms as a whole.
func (g *Gateway) confirmation() GatewayInstance {
	return GatewayInstance{Epoch: g.Epoch, Confirmed: g.Confirmed}
}

// Lags reports whether one of g's connected instances has not confirmed a
// generation of a Manager in state st.
func (g Gateway) Lags(st Status, generation uint64) bool {
	return g.Connection == "connected" && g.confirmation().lags(st, generation)
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
