package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// minioUserTimeout bounds what an administrator asks of MinIO.
const minioUserTimeout = 2 * time.Minute

// An ObjectStore is a MinIO on a data folder of its own. It has a user who may
// what deploy/minio/policy.json says: Keyward's Manager.
type ObjectStore struct {
	URL       string
	AccessKey string // of the Manager's user
	SecretKey string

	bin, home string
	root      []string // its administrator, as environment
	command   Command
	process   *Process
}

// StartMinIO runs MinIO. It can be killed and started again on the same data.
func StartMinIO(t testing.TB) *ObjectStore {
	t.Helper()
	addr := FreeAddr(t)
	s := &ObjectStore{
		URL: "http://" + addr, AccessKey: "keyward", SecretKey: "minio-" + rand.Text(),
		bin: NeedPeer(t, MinIO), home: t.TempDir(),
		root: []string{"MINIO_ROOT_USER=administrator", "MINIO_ROOT_PASSWORD=" + rand.Text()},
	}
	s.command = Command{
		Path: filepath.Join(s.bin, "minio"), Dir: s.home,
		Args: []string{"server", "--address", addr, "--quiet", filepath.Join(s.home, "data")},
		Env:  append([]string{"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + s.home}, s.root...),
		// live comes before the store itself answers.
		Healthy: HTTPHealthy(s.URL+"/minio/health/cluster", http.StatusOK),
	}
	s.Start(t)
	policy, err := os.ReadFile(filepath.Join(Root(t), "deploy", "minio", "policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.Allow(t, policy)
	return s
}

// Allow has the Manager's user do what a policy says, and nothing else.
func (s *ObjectStore) Allow(t testing.TB, policy []byte) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"secret": s.SecretKey, "policy": json.RawMessage(policy)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), minioUserTimeout)
	defer cancel()
	// It answers before it has read its users.
	err = Await(ctx, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "minio-user"), s.URL[len("http://"):], s.AccessKey)
		cmd.Env, cmd.Stdin = append(os.Environ(), s.root...), bytes.NewReader(in)
		return output(cmd)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Start starts a MinIO that was killed, on the data that it left.
func (s *ObjectStore) Start(t testing.TB) { t.Helper(); s.process = Start(t, s.command) }

// Kill ends it as a power cut does.
func (s *ObjectStore) Kill() { s.process.Kill() }

// Data is all that it keeps, file by file: objects, their versions, its settings.
func (s *ObjectStore) Data(t testing.TB) []byte { t.Helper(); return contents(t, s.home) }

// Log is what it has written since it was last started.
func (s *ObjectStore) Log() string { return s.process.Log() }
