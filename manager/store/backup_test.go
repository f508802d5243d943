package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
)

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, filepath.Join(dir, "keyward.db"))
	w := newWorld(t, f)
	before, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backup, restored := filepath.Join(dir, "backup.db"), filepath.Join(dir, "restored.db")
	if err := f.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(backup); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v, want 0600", st.Mode(), err)
	}
	if err := f.Backup(t.Context(), backup); !errors.Is(err, os.ErrExist) {
		t.Errorf("a backup over a file: %v, want %v", err, os.ErrExist)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteConsumer(ctx, w.consumer.ID, 0) })

	if err := store.Restore(t.Context(), backup, restored, f.opt); err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(t.Context(), backup, restored, f.opt); !errors.Is(err, os.ErrExist) {
		t.Errorf("a restore over a store: %v, want %v", err, os.ErrExist)
	}
	s, err := store.Open(t.Context(), restored, f.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	after, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch == before.Epoch {
		t.Error("the restored store has the epoch of the one that was backed up")
	}
	after.Epoch, after.Generation = before.Epoch, before.Generation
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("restored (-before +after):\n%s", diff)
	}
	l, err := s.Events(t.Context(), store.EventFilter{Kind: manager.KindStore}, manager.Page{})
	if err != nil || len(l.Items) != 2 || l.Items[1].Action != "store.new-epoch" {
		t.Errorf("events of the restored store = %+v, %v, want its new epoch", l.Items, err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, filepath.Join(dir, "keyward.db"))
	newWorld(t, f)
	good := filepath.Join(dir, "good.db")
	if err := f.Backup(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, b...)
	for i := 4096; i < len(damaged) && i < 5*4096; i++ {
		damaged[i] ^= 0xff
	}
	for name, content := range map[string][]byte{
		"an empty file":      {},
		"another file":       []byte("not a database, though long enough to be looked at"),
		"a damaged backup":   damaged,
		"a truncated backup": b[:len(b)/2],
	} {
		t.Run(name, func(t *testing.T) {
			path, to := filepath.Join(t.TempDir(), "b.db"), filepath.Join(t.TempDir(), "r.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := store.Restore(t.Context(), path, to, f.opt); err == nil {
				t.Error("restored")
			}
			if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a failed restore left a file: %v", err)
			}
		})
	}
	if err := store.Restore(t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "r.db"), f.opt); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no backup: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", ":memory:", "mysql://x", filepath.Join(t.TempDir(), "no", "folder.db"), "postgres://secret%zz@h/db"} {
		if s, err := store.Open(t.Context(), dsn, store.Options{}); err == nil {
			s.Close()
			t.Errorf("Open(%q) worked", dsn)
		}
	}
}
