package testenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Kubernetes is an API server with an etcd of its own: admission, RBAC and
// Higress' definitions are real. There is no controller and no kubelet, so
// nothing runs a Pod, collects garbage, counts quotas or ends a namespace.
type Kubernetes struct {
	URL        string
	Kubeconfig string // file; whoever uses it may do everything

	client *http.Client
}

// higressDefinitions are the custom resources that Higress brings.
//
//go:embed higress/*.yaml
var higressDefinitions embed.FS

// StartKubernetes starts an API server that ends with the test. Its start takes
// seconds, and its first build a quarter of an hour, so it is for heavy tests.
func StartKubernetes(t testing.TB) *Kubernetes {
	t.Helper()
	Heavy(t, "an API server of Kubernetes")
	etcd, server := NeedPeer(t, Etcd), NeedPeer(t, KubeAPIServer)
	// Not t.TempDir: etcd's folder may still be written to while it is removed.
	dir, err := os.MkdirTemp("", "keyward-kubernetes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store := startEtcd(t, filepath.Join(etcd, "server"), dir)

	ca, addr := NewCA(t), FreeAddr(t)
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := ca.Issue(t, "localhost")
	adminCert, adminKey := ca.IssueClient(t, "admin", "system:masters")
	accountKey := file("sa.key", signingKey(t))
	k := &Kubernetes{URL: "https://" + addr, client: clientOf(t, ca.PEM, adminCert, adminKey)}
	k.Kubeconfig = file("kubeconfig", kubeconfig(k.URL, file("ca.crt", ca.PEM), file("admin.crt", adminCert), file("admin.key", adminKey)))
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	Start(t, Command{
		Path: filepath.Join(server, "kube-apiserver"),
		Args: []string{
			"--etcd-servers", store, "--etcd-prefix", "/kube", "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
			"--secure-port", port, "--tls-cert-file", file("server.crt", cert), "--tls-private-key-file", file("server.key", key),
			"--cert-dir", dir, "--client-ca-file", filepath.Join(dir, "ca.crt"), "--authorization-mode", "RBAC",
			"--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://localhost",
			"--service-account-key-file", accountKey, "--service-account-signing-key-file", accountKey,
			"--endpoint-reconciler-type", "none",
		},
		Healthy: k.healthy("/readyz"),
		Within:  5 * time.Minute, // 5 s alone, and much longer on a busy machine
	})
	k.define(t)
	return k
}

func startEtcd(t testing.TB, program, dir string) (url string) {
	t.Helper()
	url, peer := "http://"+FreeAddr(t), "http://"+FreeAddr(t)
	Start(t, Command{
		Path: program,
		Args: []string{
			"--name", "t", "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
			"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
			"--initial-advertise-peer-urls", peer, "--initial-cluster", "t=" + peer,
		},
		Healthy: HTTPHealthy(url+"/health", http.StatusOK),
	})
	return url
}

// define makes Higress' custom resources known, and waits until they are served.
func (k *Kubernetes) define(t testing.TB) {
	t.Helper()
	files, err := higressDefinitions.ReadDir("higress")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := higressDefinitions.ReadFile("higress/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		k.Apply(t, false, Manifests(t, b)...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for _, path := range []string{"/apis/extensions.higress.io/v1alpha1/wasmplugins", "/apis/networking.higress.io/v1/mcpbridges"} {
		if err := Await(ctx, k.healthy(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *Kubernetes) healthy(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL+path, nil)
		if err != nil {
			return err
		}
		res, err := k.client.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", path, res.Status)
		}
		return nil
	}
}

func clientOf(t testing.TB, ca, cert, key []byte) *http.Client {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func kubeconfig(url, ca, cert, key string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {client-certificate: %q, client-key: %q}}]
`, url, ca, cert, key)
}

// signingKey is a key for the tokens of service accounts, in PEM.
func signingKey(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}
