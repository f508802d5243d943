package api_test

import (
	"net/http"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
)

func TestAnAnswerCanWaitUntilGatewaysHaveTheChange(t *testing.T) {
	w := newServer(t)
	const path = "/v1/consumers?wait=in_force"
	res := w.do(t, w.admin, "POST "+path, `{"id":"w1","kind":"worker"}`)
	if res.status != http.StatusCreated || res.header.Get("Keyward-In-Force") != "true" || res.header.Get("Keyward-Gateways") != "0" {
		t.Errorf("without gateways: %d %v", res.status, res.header)
	}
	ctx := t.Context()
	var gen uint64
	gen, err := w.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		_, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "edge"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := w.store.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.SeenGateway(ctx, "edge", manager.GatewayInstance{ID: "i1", Epoch: st.Epoch, Confirmed: gen}); err != nil {
		t.Fatal(err)
	}
	changed := w.store.Changed()
	go func() {
		<-changed
		time.Sleep(20 * time.Millisecond)
		if err := w.store.SeenGateway(ctx, "edge", manager.GatewayInstance{ID: "i1", Epoch: st.Epoch, Confirmed: gen + 1}); err != nil {
			t.Error(err)
		}
	}()
	res = w.do(t, w.admin, "POST "+path, `{"id":"w2","kind":"worker"}`)
	if res.status != http.StatusCreated || res.header.Get("Keyward-In-Force") != "true" || res.header.Get("Keyward-Gateways") != "1" {
		t.Errorf("once it is confirmed: %d %v", res.status, res.header)
	}
	res = w.do(t, w.admin, "DELETE /v1/consumers/w2?wait=in_force&wait_seconds=1", "")
	if res.status != http.StatusAccepted || res.header.Get("Keyward-In-Force") != "false" || res.header.Get("Keyward-Behind") != "edge" {
		t.Errorf("with a gateway that lags: %d %v", res.status, res.header)
	}
}
