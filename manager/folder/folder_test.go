package folder_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"keyward/manager"
	"keyward/manager/folder"
	"keyward/manager/rego"
	"keyward/manager/store"
)

const policy = "package keyward\n\nallow if input.consumer.id == \"a\"\n"

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take returns what was logged since it was last asked.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.b.String()
	l.b.Reset()
	return s
}

func newWatcher(t *testing.T) (dir string, s *store.Store, w *folder.Watcher, log *logged) {
	t.Helper()
	dir = t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	log = &logged{}
	if w, err = folder.New(dir, s, rego.Compiler{}, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	return dir, s, w, log
}

func save(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func live(t *testing.T, s *store.Store) manager.PolicyText {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Policy(t.Context(), st.Policy)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnlyWhatIsRightIsPublished(t *testing.T) {
	dir, s, w, log := newWatcher(t)
	save(t, dir, "policy.rego", policy)
	save(t, dir, "roles/data.json", `{"trusted":["a"]}`)
	save(t, dir, ".git/HEAD", "ref: refs/heads/main\n")
	save(t, dir, ".git/refs/heads/main", strings.Repeat("ab", 20)+"\n")
	w.Sync(t.Context())
	first := live(t, s)
	if first.Modules["policy.rego"] != policy || string(first.Data) != `{"roles":{"trusted":["a"]}}` || first.Note != "from the policy folder, on commit abababababab" {
		t.Fatalf("live: %+v", first)
	}
	for _, tt := range []struct{ name, file, text, want string }{
		{"what does not compile", "policy.rego", "package keyward\n\nallow if nosuch(1)\n", "policy.rego:3:10: "},
		{"a failing test", "policy_test.rego", "package keyward\n\ntest_it if false\n", "test_it"},
		{"data that is none", "roles/data.json", "{", "data.json"},
	} {
		was, _ := os.ReadFile(filepath.Join(dir, tt.file))
		log.take()
		save(t, dir, tt.file, tt.text)
		w.Sync(t.Context())
		if got := log.take(); !strings.Contains(got, tt.want) || !strings.Contains(got, "not published") {
			t.Errorf("%s: logged %s", tt.name, got)
		}
		w.Sync(t.Context())
		if got := log.take(); got != "" {
			t.Errorf("%s: told twice: %s", tt.name, got)
		}
		if got := live(t, s); got.ID != first.ID {
			t.Errorf("%s: %s is live", tt.name, got.ID)
		}
		if was == nil {
			if err := os.Remove(filepath.Join(dir, tt.file)); err != nil {
				t.Fatal(err)
			}
		} else {
			save(t, dir, tt.file, string(was))
		}
	}
	w.Sync(t.Context())
	if got := live(t, s); got.ID != first.ID {
		t.Errorf("the same text made version %s", got.ID)
	}
	events, err := s.Events(t.Context(), store.EventFilter{Kind: manager.KindPolicy}, manager.Page{})
	if err != nil || len(events.Items) != 2 || events.Items[1].Action != "policy.publish" || events.Items[1].Actor.ID != "policy-dir" {
		t.Errorf("events = %+v, %v", events.Items, err)
	}
}

func TestWhatIsSavedIsPublished(t *testing.T) {
	dir, s, w, _ := newWatcher(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	publishes := func(text string) {
		t.Helper()
		for {
			changed := s.Changed()
			if st, err := s.Status(t.Context()); err != nil {
				t.Fatal(err)
			} else if st.Policy != "" && live(t, s).Modules["team/policy.rego"] == text {
				return
			}
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatal("what was saved was not published")
			}
		}
	}
	save(t, dir, "team/policy.rego", policy)
	publishes(policy)
	save(t, dir, "team/policy.rego", policy+"\n# again\n")
	publishes(policy + "\n# again\n")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := folder.New(filepath.Join(dir, "none"), s, rego.Compiler{}, nil); err == nil {
		t.Error("a folder that is not there is watched")
	}
}
