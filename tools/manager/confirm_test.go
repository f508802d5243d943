package manager

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

func TestAPublicationIsConfirmedByWhatGatewaysReport(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		_, err := tx.CreateGateway(t.Context(), manager.GatewaySpec{ID: "edge"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := newConfirmation(s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	check := func(what string, since time.Time, want int) {
		t.Helper()
		if n, err := c.confirmed(t.Context(), since); err != nil || n != want {
			t.Errorf("%s: %d gateways, %v; want %d", what, n, err, want)
		}
	}
	seen := func(instance, epoch string, generation uint64) {
		t.Helper()
		if err := s.SeenGateway(t.Context(), "edge", manager.GatewayInstance{ID: instance, Epoch: epoch, Confirmed: generation}); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-time.Minute)
	check("nobody has called", before, 0)
	seen("gate", st.Epoch, st.Generation)
	check("one has confirmed", before, 1)
	check("none has called since", time.Now().Add(time.Minute), 0)
	seen("key-swap", st.Epoch, st.Generation-1)
	check("one is behind", before, 0)
	seen("key-swap", "another", st.Generation)
	check("one follows another Manager", before, 0)
	seen("key-swap", st.Epoch, st.Generation)
	check("both have confirmed", before, 1)
}
