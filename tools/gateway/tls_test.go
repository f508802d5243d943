package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestTLS uses one certificate for the upstream and the gateway; whoever does
// not trust it must not get through.
func TestTLS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		fmt.Fprintf(w, "%s %s", r.Proto, r.Header.Get("X-Config"))
	}))
	up.EnableHTTP2 = true
	up.StartTLS()
	t.Cleanup(up.Close)

	dir := t.TempDir()
	pair := up.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := serve(t, dir, fmt.Sprintf(`
listeners: [{address: "127.0.0.1:0", tls: {cert: cert.pem, key: key.pem}}]
clusters:
  - {name: trusted, urls: [%[1]q], http2: true, tls: {ca: cert.pem}}
  - {name: untrusted, urls: [%[1]q]}
routes:
  - {name: trusted, path: /, cluster: trusted}
  - {name: untrusted, path: /untrusted, cluster: untrusted}
plugins:
  - {name: probe, file: probe.wasm, configuration: hello}
`, up.URL))

	roots := x509.NewCertPool()
	roots.AddCert(up.Certificate())
	for _, h2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		c := &http.Client{
			Transport:     &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       patience,
		}
		get := func(path string) (int, string) {
			r, _ := http.NewRequest("GET", "https://"+g.Addrs()[0]+path, nil)
			r.Header.Set("X-Do", "headers=config")
			return do(t, c, r)
		}
		if status, body := get("/"); status != 200 || body != "HTTP/2.0 hello" {
			t.Errorf("h2 %v: got %d %q", h2, status, body)
		}
		if status, _ := get("/untrusted"); status != 503 {
			t.Errorf("h2 %v: an upstream that is not trusted answered %d", h2, status)
		}
		if status, _ := get("/elsewhere"); status != 302 {
			t.Errorf("h2 %v: a redirect became %d", h2, status)
		}
	}
}
