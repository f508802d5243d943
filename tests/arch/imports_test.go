package arch

import (
	"strings"
	"testing"
)

// layers are the repository's folders from the ground up. A package imports
// its own layer and those below.
var layers = [][]string{
	{"policies"},
	{"plugins"},
	{"manager"},
	{"tools", "tests"},
}

// layer returns the index of the layer that path belongs to, -1 for none.
// The root package is the default policy's text and belongs with the policies.
func layer(path string) int {
	if path == module {
		return 0
	}
	for i, folders := range layers {
		for _, folder := range folders {
			if isUnder(path, module+"/"+folder) {
				return i
			}
		}
	}
	return -1
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range goList(t, "", "", "./...") {
		from := layer(p.ImportPath)
		if from < 0 {
			t.Errorf("%s is in no layer: put it under policies, plugins, manager, tools or tests, so that it is clear what it may know", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if isUnder(path, module) && layer(path) > from {
				t.Errorf("%s imports %s: imports point one way, policies <- plugins <- manager <- tools and tests, "+
					"so that what decides never depends on what administers", p.ImportPath, path)
			}
		}
		for _, path := range p.testOnlyImports() {
			if isUnder(path, module) && layer(path) > from && path != module+"/tests/testenv" {
				t.Errorf("the tests of %s import %s: tests follow the import direction too, so that a layer can be tested alone; "+
					"only tests/testenv is open to all", p.ImportPath, path)
			}
		}
	}
}

// confined lists what only some packages may import themselves.
var confined = []struct {
	path   string   // import path, and all below it
	to     []string // folders that may
	reason string
}{
	{
		"github.com/open-policy-agent/opa",
		[]string{"policies/compile", "tools/bench/engine", "tests/e2e/decisionlog"},
		"OPA weighs 39 MB in wasm; the rest runs compiled programs, and only the compiler knows where they come from; the benchmark measures the engine beside it, and a test reads decision logs by OPA's own types",
	},
	{
		"github.com/higress-group/proxy-wasm-go-sdk",
		[]string{"tools/gateway/wasmhost"},
		"plugins are built on plugins/internal/host, which denies on panic and is what runs natively in tests; the host's tests run a plugin as others write them",
	},
	{"database/sql", []string{"manager/store"}, "one package talks SQL"},
	{"modernc.org/sqlite", []string{"manager/store"}, "one package talks SQL"},
	{"github.com/jackc/pgx", []string{"manager/store"}, "one package talks SQL"},
	{"github.com/docker/docker", []string{"manager/docker"}, "the client is frozen upstream: one package to change when it goes"},
	{"github.com/coreos/go-oidc", []string{"manager/oidc"}, "one package trusts another's log-in"},
	{"go.opentelemetry.io", []string{"tools/tracing", "manager/forward"}, "one package decides what a span may say, and one what a log record"},
	{"github.com/moby/profiles", []string{"manager/docker"}, "one package knows what a container may do"},
	{"k8s.io", []string{"manager/kubernetes", "manager/publish"}, "47 linked modules that only the Kubernetes side needs"},
	{"github.com/minio/minio-go", []string{"manager/objects"}, "one package talks to object storage"},
	{"maunium.net/go/mautrix", []string{"manager/matrix"}, "one package talks Matrix"},
}

func TestDependenciesStayWhereTheyBelong(t *testing.T) {
	for _, p := range goList(t, "", "", "./...") {
		for _, c := range confined {
			if mayImport(p.ImportPath, c.to) {
				continue
			}
			for _, path := range append(p.testOnlyImports(), p.Imports...) {
				if isUnder(path, c.path) {
					t.Errorf("%s imports %s; only %s may: %s", p.ImportPath, path, strings.Join(c.to, ", "), c.reason)
				}
			}
		}
	}
}

func mayImport(path string, folders []string) bool {
	for _, folder := range folders {
		if isUnder(path, module+"/"+folder) {
			return true
		}
	}
	return false
}

func TestTheContractImportsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range goList(t, "", "", "-deps", "./policies") {
		if !p.Standard && p.ImportPath != module+"/policies" {
			t.Errorf("policies links %s: the contract is standard library only, because everything else depends on it", p.ImportPath)
		}
	}
}
