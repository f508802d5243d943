package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/channel"
	"keyward/manager/store"
	"keyward/plugins/changes"
)

func TestSnapshotFetch(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(channel.New(s, channel.Options{Key: private}))
	defer srv.Close()
	mutate := func(fn func(context.Context, *store.Tx) error) {
		t.Helper()
		if _, err := s.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	token, out := filepath.Join(dir, "gateway.token"), filepath.Join(dir, "snapshot.json")
	mutate(func(ctx context.Context, tx *store.Tx) error {
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "edge"})
		write(t, token, g.Secret+"\n")
		return err
	})
	labels := map[string]string{}
	for i := range 30 {
		labels[fmt.Sprintf("label%02d", i)] = strings.Repeat("x", 200)
	}
	mutate(func(ctx context.Context, tx *store.Tx) error { // several pages
		for i := range 50 {
			spec := manager.ConsumerSpec{ID: fmt.Sprintf("w%d", i), Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: labels}}
			if _, err := tx.CreateConsumer(ctx, spec); err != nil {
				return err
			}
		}
		return nil
	})
	fetch := func(key ed25519.PublicKey) (string, error) {
		return run(t, "", "snapshot", "fetch", "--manager", srv.URL, "--manager-key", changes.FormatPublicKey(key), "--token-file", token, "-o", out)
	}
	text, err := fetch(public)
	if err != nil || !strings.Contains(text, "50 consumers") {
		t.Fatalf("%s, %v", text, err)
	}
	mustRun(t, "", "snapshot", "check", out)
	if g, err := s.Gateway(t.Context(), "edge"); err != nil || len(g.Instances) != 0 {
		t.Errorf("who fetches counts as a gateway that serves: %+v, %v", g, err)
	}

	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := fetch(other); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("of another Manager: %s, %v", text, err)
	}
	write(t, token, "kwg_wrong")
	if text, err := fetch(public); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with another token: %s, %v", text, err)
	}
	if after, err := os.ReadFile(out); err != nil || string(after) != string(before) {
		t.Errorf("a fetch that failed changed the file: %v", err)
	}
}
