package e2e_test

import (
	"encoding/base64"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// gitUser is the user name that the git server asks for beside its real token.
const gitUser = "x-access-token"

// addGit puts a smart HTTP server with two repositories behind the gateway, of
// which the worker may use one.
func addGit(t *testing.T, w *world) {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"acme/site.git", "acme/secret.git"} {
		newRepository(t, filepath.Join(root, name), "the door is open\n")
	}
	key := w.add(t, snapshot.Target{
		ID: "git", Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "git"}},
		Inject: &snapshot.Inject{Form: snapshot.Basic, Username: gitUser},
	}, policies.Grant{Paths: []string{"/git/acme/site.git"}})
	backend := &cgi.Handler{
		Path: testenv.NeedGitHTTPBackend(t),
		Root: "/git",
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + gitUser},
	}
	w.serve(t, "git", w.guard("Basic "+base64.StdEncoding.EncodeToString([]byte(gitUser+":"+key)), backend))
}

// newRepository makes a bare repository with one file that is big enough not to
// fit into one chunk.
func newRepository(t *testing.T, dir, text string) {
	t.Helper()
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "README"), []byte(strings.Repeat(text, 10_000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", work},
		{"-C", work, "add", "README"},
		{"-C", work, "commit", "--quiet", "--message=first"},
		{"clone", "--quiet", "--bare", work, dir},
	} {
		if out, err := git(t, nil, args...); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
}

// git runs git without anybody's configuration.
func git(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testenv.NeedGit(t), args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example", "GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example",
	}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// testGit clones over TLS. git asks a helper for its password, which is the
// consumer token: no secret is an argument or part of a URL.
func testGit(t *testing.T, w *world, g *gateway) {
	env := []string{
		"KEYWARD_TOKEN=" + w.token,
		"GIT_SSL_CAINFO=" + g.caFile,
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=credential.helper",
		`GIT_CONFIG_VALUE_0=!f() { echo username=worker; echo "password=$KEYWARD_TOKEN"; }; f`,
	}
	to := filepath.Join(t.TempDir(), "site")
	if out, err := git(t, env, "clone", g.tlsURL+"/git/acme/site.git", to); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(to, "README"))
	if err != nil || !strings.HasPrefix(string(text), "the door is open\n") {
		t.Errorf("README = %.40q, %v", text, err)
	}
	config, err := os.ReadFile(filepath.Join(to, ".git", "config"))
	if err != nil || strings.Contains(string(config), w.token) {
		t.Errorf("the clone keeps the token, or has no configuration: %v", err)
	}
	out, err := git(t, env, "clone", g.tlsURL+"/git/acme/secret.git", to+"-secret")
	if err == nil || !strings.Contains(out, "403") {
		t.Errorf("a clone without a grant ends with %v: %s", err, out)
	}
}
