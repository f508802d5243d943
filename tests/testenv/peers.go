package testenv

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A Peer is a real component that is built from source, at the versions that
// its own module in tools/peers pins.
type Peer string

// The peers, each with the names of its binaries.
const (
	MinIO         Peer = "minio"          // minio, minio-user
	Etcd          Peer = "etcd"           // server
	KubeAPIServer Peer = "kube-apiserver" // kube-apiserver
	Dendrite      Peer = "dendrite"       // dendrite, create-account, generate-keys
)

// peerTimeout bounds the first build of a peer; the API server's takes a
// quarter of an hour on two busy cores.
const peerTimeout = 45 * time.Minute

// NeedPeer returns the folder with a peer's binaries. They are built once per
// go.sum and source of their module, with low priority, and kept in the cache
// folder.
func NeedPeer(t testing.TB, p Peer) string {
	t.Helper()
	module := filepath.Join(Root(t), "tools", "peers", string(p))
	what := []string{string(p)}
	sources, err := filepath.Glob(filepath.Join(module, "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append([]string{filepath.Join(module, "go.sum")}, sources...) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		what = append(what, string(b))
	}
	return cachedWithin(t, peerTimeout, "peer", string(p), what, func(ctx context.Context, dir string) error {
		args := []string{"-n", "10", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", peerFlags(p), "-o", dir + string(filepath.Separator), "tool"}
		cmd := exec.CommandContext(ctx, "nice", args...)
		cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		return output(cmd)
	})
}

// peerFlags are the linker's. An API server that does not know its version
// refuses to start.
func peerFlags(p Peer) string {
	if p == KubeAPIServer {
		return "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2"
	}
	return "-s -w"
}
