package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyward/tests/testenv"
)

// TestManagersOfOneStoreShareTheirKeys runs Managers as processes: one whose key
// gateways would not know must not answer any.
func TestManagersOfOneStoreShareTheirKeys(t *testing.T) {
	testenv.Heavy(t, "the keyward command, built")
	keyward := testenv.GoBuild(t, "keyward/tools/keyward")
	stores := map[string]string{"SQLite": filepath.Join(t.TempDir(), "keyward.db"), "PostgreSQL": testenv.NeedPostgreSQL(t).Database(t)}
	for name, dsn := range stores {
		t.Run(name, func(t *testing.T) {
			configure := func() (config, api string) {
				api = freeAddress(t)
				config = filepath.Join(t.TempDir(), "manager.yaml")
				text := fmt.Sprintf("store: {dsn: %q}\napi: {listen: %q}\noperations: {listen: \"127.0.0.1:0\"}\ngateways: {listen: \"127.0.0.1:0\"}\n", dsn, api)
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return config, api
			}
			one, api := configure()
			startManager(t, keyward, one, api)

			other, _ := configure()
			refused(t, keyward, other, "gateways")
			copyKey(t, one, other, "gateways.pem")
			refused(t, keyward, other, "log")
			copyKey(t, one, other, "log.key")
			copyKey(t, one, other, "log.key.pub")
			// It shares both keys now, and runs beside the first.
			_, address, _ := strings.Cut(read(t, other), "api: {listen: \"")
			address, _, _ = strings.Cut(address, "\"")
			awaitManager(t, keyward, other, address)

			third, address := configure()
			out, err := exec.CommandContext(t.Context(), keyward, "manager", "adopt-keys", "--config", third).CombinedOutput()
			if err != nil || strings.Count(string(out), "is now") != 2 {
				t.Fatalf("adopt-keys: %v\n%s", err, out)
			}
			refused(t, keyward, one, "gateways")
			awaitManager(t, keyward, third, address)
		})
	}
}

// refused starts a Manager that must not start, for the key of this name, and
// looks for private halves in what it says.
func refused(t *testing.T, keyward, config, name string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), keyward, "manager", "--config", config).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("adopt-keys")) || !bytes.Contains(out, []byte(name+": ")) || bytes.Contains(out, []byte(`"listening"`)) {
		t.Fatalf("a Manager with another key for %s: %v\n%s", name, err, out)
	}
	for _, file := range []string{"gateways.pem", "log.key"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(config), file))
		if err != nil {
			continue // it was not needed yet
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && bytes.Contains(out, []byte(line)) {
				t.Errorf("what it says holds a part of %s", file)
			}
		}
	}
}

func copyKey(t *testing.T, from, to, name string) {
	t.Helper()
	text := read(t, filepath.Join(filepath.Dir(from), name))
	if err := os.WriteFile(filepath.Join(filepath.Dir(to), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
