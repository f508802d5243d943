package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
)

const (
	// forceEvery is how often gateways that confirm to other Managers are looked at.
	forceEvery = 50 * time.Millisecond
	maxNamed   = 20 // gateways that an answer names
)

// Force is what the answer to a change says about gateways.
type Force struct {
	InForce string `json:"-" header:"Keyward-In-Force" doc:"With wait=in_force: whether every connected gateway has it in force"`
	Serving string `json:"-" header:"Keyward-Gateways" doc:"With wait=in_force: how many gateways are connected; with 0 there is nothing to wait for"`
	Behind  string `json:"-" header:"Keyward-Behind" doc:"With wait=in_force: ids of connected gateways that have not confirmed it"`
	Lost    string `json:"-" header:"Keyward-Lost" doc:"With wait=in_force: ids of gateways that are not connected, and were not waited for"`
}

func (f *Force) force() *Force { return f }

// successOf is the status of an answer to an operation that names none.
func successOf[O any]() int {
	if _, ok := any(new(O)).(*gone); ok {
		return http.StatusNoContent
	}
	return http.StatusOK
}

// inForce waits until all connected gateways have confirmed a generation, or its
// patience is over, and says in f how it went.
func (a *API) inForce(ctx context.Context, f *Force, generation uint64, patience time.Duration) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	again := time.NewTicker(forceEvery)
	defer again.Stop()
	for {
		seen := a.store.Seen()
		behind, err := a.confirmations(ctx, f, generation)
		if err != nil {
			return err
		}
		f.InForce = strconv.FormatBool(!behind)
		if !behind {
			return nil
		}
		select {
		case <-seen:
		case <-again.C:
		case <-timeout.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// confirmations reports whether a connected gateway is behind a generation.
func (a *API) confirmations(ctx context.Context, f *Force, generation uint64) (bool, error) {
	st, err := a.store.Generation(ctx)
	if err != nil {
		return false, err
	}
	var behind, lost []string
	connected := 0
	page := manager.Page{Limit: manager.MaxPage}
	for {
		l, err := a.store.Gateways(ctx, page)
		if err != nil {
			return false, err
		}
		for _, g := range l.Items {
			switch {
			case g.Connection == "lost":
				lost = append(lost, g.ID)
			case g.Connection == "connected":
				connected++
				if g.Lags(st, generation) {
					behind = append(behind, g.ID)
				}
			}
		}
		if page.After = l.After; l.After == "" {
			break
		}
	}
	f.Serving, f.Behind, f.Lost = strconv.Itoa(connected), named(behind), named(lost)
	return len(behind) > 0, nil
}

func named(ids []string) string {
	if len(ids) > maxNamed {
		ids = append(ids[:maxNamed:maxNamed], "...")
	}
	return strings.Join(ids, ",")
}

// documentWait says of a registered operation that it may answer 202: as its
// success, but for the gateways that lag.
func documentWait(doc *huma.OpenAPI, op huma.Operation) {
	item := doc.Paths[op.Path]
	for _, known := range []*huma.Operation{item.Post, item.Put, item.Patch, item.Delete} {
		if known == nil || known.OperationID != op.OperationID {
			continue
		}
		for _, status := range []string{"200", "201", "204"} {
			if r := known.Responses[status]; r != nil {
				late := *r
				late.Description = "Done, but a connected gateway has not confirmed it"
				known.Responses["202"] = &late
			}
		}
	}
}
