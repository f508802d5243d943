package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/tests/testenv"
)

// TestAKeyEnrolledByTheCommandIsNowhereInClear enrols canary keys with the
// command line, and then searches all that the Manager keeps: the files of its
// store, its log, and the whole memory of its process. A note in clear shows that
// the search finds what is there.
func TestAKeyEnrolledByTheCommandIsNowhereInClear(t *testing.T) {
	const (
		note   = "canary-note-5d1f"
		first  = "canary-first-real-key-a91c"
		second = "canary-second-real-key-77e0"
	)
	testenv.Heavy(t, "the keyward command, built")
	keyward := testenv.GoBuild(t, "keyward/tools/keyward")
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	api := freeAddress(t)
	config := put("manager.yaml", fmt.Sprintf(`store: {dsn: keyward.db}
api: {listen: %q}
operations: {listen: "127.0.0.1:0"}
gateways: {listen: "127.0.0.1:0"}
`, api))
	pid, token, log := startManager(t, keyward, config, api)
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), keyward, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KEYWARD_MANAGER=http://"+api, "KEYWARD_ADMIN_TOKEN_FILE="+put("admin.token", token))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("keyward %q: %v\n%s", args, err, out)
		}
	}
	one, two := put("one.key", first), put("two.key", second)
	run("gateway", "keygen", "-o", "gw")
	run("gateway", "key", "add", "gw.pub")
	run("credential", "enrol", "github", "--host", "api.github.com", "--note", note, "--file", one)
	run("credential", "rotate", "github", "--overlap", "1h", "--file", two)
	run("target", "create", "github", "--kind", "mcp", "--path", "/github", "--host", "api.github.com", "--credential", "github", "--inject", "bearer")
	private, err := os.ReadFile(filepath.Join(dir, "gw.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{first, second, strings.TrimSpace(string(private))}

	var kept []byte
	for _, name := range []string{"keyward.db", "keyward.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b...)
	}
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for where, b := range map[string][]byte{"store": kept, "memory": memoryOf(t, pid)} {
		if !bytes.Contains(b, []byte(note)) {
			t.Errorf("the note is not found in the %s: the search is worth nothing", where)
		}
		for i, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("secret %d is in the Manager's %s in clear", i, where)
			}
		}
	}
	for i, s := range secrets {
		if bytes.Contains(said, []byte(s)) {
			t.Errorf("secret %d is in the Manager's log", i)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startManager runs the Manager until the test ends. It returns its process, the
// admin token of its first start, and the file with its log.
func startManager(t *testing.T, keyward, config, api string) (pid int, token, log string) {
	t.Helper()
	pid, log = awaitManager(t, keyward, config, api)
	for word := range strings.FieldsSeq(read(t, log)) {
		if manager.ValidSecret(manager.AdminPrefix, word) {
			return pid, word, log
		}
	}
	t.Fatal("the Manager showed no admin token")
	return 0, "", ""
}

// awaitManager runs the Manager until the test ends.
func awaitManager(t *testing.T, keyward, config, api string) (pid int, log string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "manager.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(keyward, "manager", "--config", config)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+api+"/openapi.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			return cmd.Process.Pid, out.Name()
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the Manager ended: %v\n%s", err, read(t, out.Name()))
		case <-ctx.Done():
			t.Fatal("the Manager does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// memoryOf reads all memory of a process that can be read, as a core dump has it.
func memoryOf(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var all []byte
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var access string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &access); err != nil || access[0] != 'r' || access[1] != 'w' {
			continue // what is not written holds no key
		}
		region := make([]byte, to-from)
		n, _ := mem.ReadAt(region, from) // a guard page ends a region
		all = append(all, region[:n]...)
	}
	return all
}
