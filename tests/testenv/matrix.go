package testenv

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"text/template"
	"time"
)

// A Homeserver is a Matrix homeserver without federation, on data of its own.
type Homeserver struct {
	URL    string
	Name   string // server name, behind the colon of an ID
	Secret string // shared secret that registers users

	dir     string // its data
	command Command
	process *Process
}

// HomeserverOptions say how a homeserver is set up.
type HomeserverOptions struct {
	// Limits leaves Synapse's rate limits at their defaults; else they are so high
	// that no test meets them. A Dendrite here has none.
	Limits bool
	// Tokens lets those register who have a registration token (Synapse).
	Tokens bool
}

// StartSynapse runs Synapse, the reference homeserver.
func StartSynapse(t testing.TB, opt HomeserverOptions) *Homeserver {
	t.Helper()
	python := NeedPython(t, SynapsePackage)
	h, dir := newHomeserver(t)
	config := expand(t, synapseConfig, map[string]any{
		"Name": h.Name, "Dir": dir, "Port": port(t, h.URL), "Secret": h.Secret, "Opt": opt,
	})
	path := filepath.Join(dir, "homeserver.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-m", "synapse.app.homeserver", "-c", path}
	if err := run(t.Context(), dir, python, append(args, "--generate-keys")...); err != nil {
		t.Fatal(err)
	}
	h.command = Command{Path: python, Args: args, Dir: dir, Healthy: HTTPHealthy(h.URL+"/health", http.StatusOK)}
	h.Start(t)
	return h
}

// StartDendrite runs Dendrite, a second implementation.
func StartDendrite(t testing.TB) *Homeserver {
	t.Helper()
	bin := NeedPeer(t, Dendrite)
	h, dir := newHomeserver(t)
	config := expand(t, dendriteConfig, map[string]any{"Name": h.Name, "Dir": dir, "Secret": h.Secret})
	path := filepath.Join(dir, "dendrite.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), dir, filepath.Join(bin, "generate-keys"), "--private-key", filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	h.command = Command{
		Path: filepath.Join(bin, "dendrite"), Dir: dir,
		Args:    []string{"-config", path, "-http-bind-address", "127.0.0.1:" + port(t, h.URL)},
		Healthy: HTTPHealthy(h.URL+"/_matrix/client/versions", http.StatusOK),
	}
	h.Start(t)
	return h
}

func newHomeserver(t testing.TB) (*Homeserver, string) {
	t.Helper()
	dir := t.TempDir()
	return &Homeserver{URL: "http://" + FreeAddr(t), Name: "localhost", Secret: rand.Text(), dir: dir}, dir
}

func port(t testing.TB, url string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func expand(t testing.TB, text string, data any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := template.Must(template.New("").Parse(text)).Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Start starts a homeserver that was killed, on the data that it left.
func (h *Homeserver) Start(t testing.TB) { t.Helper(); h.process = Start(t, h.command) }

// Kill ends it as a power cut does.
func (h *Homeserver) Kill() { h.process.Kill() }

// Log is what it has written since it was last started.
func (h *Homeserver) Log() string { return h.process.Log() }

// Data is all that it keeps, file by file: databases, their logs of writes, media.
func (h *Homeserver) Data(t testing.TB) []byte { t.Helper(); return contents(t, h.dir) }

// A MatrixUser is an account with a token of its own.
type MatrixUser struct {
	ID    string `json:"user_id"`
	Token string `json:"access_token"`
}

// Register makes an account by the shared secret, as both homeservers take it.
func (h *Homeserver) Register(t testing.TB, name string, admin bool) MatrixUser {
	t.Helper()
	var nonce struct {
		Nonce string `json:"nonce"`
	}
	h.Call(t, http.MethodGet, "/_synapse/admin/v1/register", "", nil, &nonce)
	role := "notadmin"
	if admin {
		role = "admin"
	}
	password := rand.Text()
	mac := hmac.New(sha1.New, []byte(h.Secret))
	fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s", nonce.Nonce, name, password, role)
	var u MatrixUser
	h.Call(t, http.MethodPost, "/_synapse/admin/v1/register", "", map[string]any{
		"nonce": nonce.Nonce, "username": name, "password": password, "admin": admin, "mac": hex.EncodeToString(mac.Sum(nil)),
	}, &u)
	return u
}

// RegistrationToken makes a token with which anybody may register (Synapse).
func (h *Homeserver) RegistrationToken(t testing.TB, admin MatrixUser) string {
	t.Helper()
	token := rand.Text()
	h.Call(t, http.MethodPost, "/_synapse/admin/v1/registration_tokens/new", admin.Token, map[string]string{"token": token}, nil)
	return token
}

// Call calls the homeserver's API and fails the test unless it answers 200. As
// clients do, it asks again when the homeserver itself fails and asking twice is
// as once: Dendrite on SQLite fails while something else is being written.
func (h *Homeserver) Call(t testing.TB, method, path, token string, in, out any) {
	t.Helper()
	status, b := h.Try(t, method, path, token, in)
	for n := 0; n < 10 && status >= 500 && method != http.MethodPost; n++ {
		time.Sleep(200 * time.Millisecond)
		status, b = h.Try(t, method, path, token, in)
	}
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// Try calls the homeserver's API and returns what it answers.
func (h *Homeserver) Try(t testing.TB, method, path, token string, in any) (status int, body []byte) {
	t.Helper()
	var r io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a busy machine is no fault
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.URL+path, r)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}

const synapseConfig = `
server_name: {{.Name}}
pid_file: {{.Dir}}/hs.pid
report_stats: false
listeners:
  - {port: {{.Port}}, type: http, tls: false, bind_addresses: ["127.0.0.1"], resources: [{names: [client]}]}
database: {name: sqlite3, args: {database: {{.Dir}}/hs.db}}
media_store_path: {{.Dir}}/media
signing_key_path: {{.Dir}}/signing.key
registration_shared_secret: "{{.Secret}}"
macaroon_secret_key: "test"
form_secret: "test"
trusted_key_servers: []
suppress_key_server_warning: true
federation_domain_whitelist: []
presence: {enabled: false}
enable_registration: {{.Opt.Tokens}}
registration_requires_token: {{.Opt.Tokens}}
{{- if not .Opt.Limits}}
rc_message: {per_second: 10000, burst_count: 10000}
rc_registration: {per_second: 10000, burst_count: 10000}
rc_registration_token_validity: {per_second: 10000, burst_count: 10000}
rc_admin_redaction: {per_second: 10000, burst_count: 10000}
rc_login:
  address: {per_second: 10000, burst_count: 10000}
  account: {per_second: 10000, burst_count: 10000}
  failed_attempts: {per_second: 10000, burst_count: 10000}
rc_joins:
  local: {per_second: 10000, burst_count: 10000}
rc_joins_per_room: {per_second: 10000, burst_count: 10000}
rc_invites:
  per_room: {per_second: 10000, burst_count: 10000}
  per_user: {per_second: 10000, burst_count: 10000}
  per_issuer: {per_second: 10000, burst_count: 10000}
rc_room_creation: {per_second: 10000, burst_count: 10000}
{{- end}}
`

const dendriteConfig = `
version: 2
global:
  server_name: {{.Name}}
  private_key: {{.Dir}}/key.pem
  disable_federation: true
  report_stats: {enabled: false}
  jetstream: {storage_path: {{.Dir}}/jetstream}
  cache: {max_size_estimated: 64mb}
client_api:
  registration_disabled: true
  registration_shared_secret: "{{.Secret}}"
  rate_limiting: {enabled: false}
federation_api:
  database: {connection_string: "file:{{.Dir}}/federation.db"}
  key_perspectives: []
media_api:
  database: {connection_string: "file:{{.Dir}}/media.db"}
  base_path: {{.Dir}}/media
room_server: {database: {connection_string: "file:{{.Dir}}/roomserver.db"}}
key_server: {database: {connection_string: "file:{{.Dir}}/keyserver.db"}}
relay_api: {database: {connection_string: "file:{{.Dir}}/relay.db"}}
sync_api:
  database: {connection_string: "file:{{.Dir}}/sync.db"}
  search: {enabled: false}
mscs: {database: {connection_string: "file:{{.Dir}}/mscs.db"}}
user_api:
  bcrypt_cost: 4
  account_database: {connection_string: "file:{{.Dir}}/userapi.db"}
logging: [{type: std, level: warn}]
`
