package testenv

import (
	"crypto/rand"
	"net/http"
	"path/filepath"
	"testing"
)

// An ObjectStore is a MinIO on a data folder of its own.
type ObjectStore struct {
	URL       string
	AccessKey string // of its root user
	SecretKey string

	command Command
	process *Process
}

// StartMinIO runs MinIO. It can be killed and started again on the same data.
func StartMinIO(t testing.TB) *ObjectStore {
	t.Helper()
	addr, home := FreeAddr(t), t.TempDir()
	s := &ObjectStore{URL: "http://" + addr, AccessKey: "tester", SecretKey: "minio-" + rand.Text()}
	s.command = Command{
		Path: filepath.Join(NeedPeer(t, MinIO), "minio"), Dir: home,
		Args: []string{"server", "--address", addr, "--quiet", filepath.Join(home, "data")},
		Env: []string{
			"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + home,
		},
		// live comes before the store itself answers.
		Healthy: HTTPHealthy(s.URL+"/minio/health/cluster", http.StatusOK),
	}
	s.Start(t)
	return s
}

// Start starts a MinIO that was killed, on the data that it left.
func (s *ObjectStore) Start(t testing.TB) { t.Helper(); s.process = Start(t, s.command) }

// Kill ends it as a power cut does.
func (s *ObjectStore) Kill() { s.process.Kill() }

// Log is what it has written since it was last started.
func (s *ObjectStore) Log() string { return s.process.Log() }
