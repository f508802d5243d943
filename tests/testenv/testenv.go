// Package testenv gets the real components that tests run against: it installs
// them into a cache folder, starts them on the loopback, waits until they are
// healthy and ends them with the test.
//
// A component that can't be had skips the test and names what is missing.
// Where CI=true is set a skip would hide a hole, so there it fails instead.
package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// installTimeout bounds one installation; a cold npm or pip needs well under
// a minute.
const installTimeout = 5 * time.Minute

// missing skips loudly, or fails where CI=true.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true demands it", what)
	}
	t.Skipf("LEFT OUT: %s is missing", what)
}

// Heavy leaves a test out of `make test`: what it needs takes long to build or
// to start. `make e2e` runs it.
func Heavy(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("KEYWARD_E2E") == "0" {
		t.Skipf("LEFT OUT: %s; `make e2e` runs it", what)
	}
}

// needProgram finds an executable that is a part of the machine.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

// NeedPython3 returns the path of the machine's own Python, with what comes with it.
func NeedPython3(t testing.TB) string { t.Helper(); return needProgram(t, "python3") }

// NeedNodeJS returns the path of node, with what comes with it.
func NeedNodeJS(t testing.TB) string { t.Helper(); return needProgram(t, "node") }

// NeedGit returns the path of git.
func NeedGit(t testing.TB) string { t.Helper(); return needProgram(t, "git") }

// NeedGitHTTPBackend returns the path of git's CGI program for smart HTTP.
func NeedGitHTTPBackend(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(NeedGit(t), "--exec-path").Output()
	path := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		missing(t, "git-http-backend")
	}
	return path
}

// Root is the folder of the repository's go.mod.
func Root(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// cached returns the folder of the cache that belongs to kind and what, and has
// install fill it when it is not there yet. Test processes that want the same
// folder wait for one another; one that is cut short leaves nothing that looks
// finished.
func cached(t testing.TB, kind string, what []string, install func(ctx context.Context, dir string) error) string {
	t.Helper()
	return cachedWithin(t, installTimeout, kind, strings.Join(what, " "), what, install)
}

// cachedWithin is cached for what may take longer, or has another name in logs.
func cachedWithin(t testing.TB, limit time.Duration, kind, name string, what []string, install func(ctx context.Context, dir string) error) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("no cache folder: %v", err)
	}
	sum := sha256.Sum256([]byte(strings.Join(what, "\x00")))
	dir := filepath.Join(base, "keyward", kind+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock := lock(t, dir+".lock")
	defer unlock()
	done := filepath.Join(dir, ".complete")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	t.Logf("installing %s into %s", name, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := install(ctx, dir); err != nil {
		t.Logf("installing %s: %v", name, err)
		missing(t, name)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lock takes an advisory lock that the kernel releases if the process dies.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %q: %v", path, err)
	}
	return func() { f.Close() }
}

// run runs a program to its end; the error holds the end of what it said.
func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	return output(cmd)
}

// output runs cmd; the error holds the end of what it said.
func output(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, out[max(0, len(out)-2000):])
	}
	return nil
}
