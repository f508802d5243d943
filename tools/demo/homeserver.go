package demo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// SynapseVariable names a Python with Synapse in it.
const SynapseVariable = "KEYWARD_SYNAPSE_PYTHON"

// errNoHomeserver reports that the rooms can't be shown, and how they can.
var errNoHomeserver = errors.New("no Matrix homeserver here: pip install matrix-synapse, or name a Python that has it in " + SynapseVariable)

// A homeserver is a Synapse on data of its own.
type homeserver struct {
	url, secret string
	token       string // of the admin
	cmd         *exec.Cmd
	ended       chan error
}

const (
	serverName = "demo.localhost"
	roomAdmin  = "@admin:" + serverName
	// matrixStart bounds the start of a homeserver, which makes its database.
	matrixStart = time.Minute
)

// findSynapse returns a Python that has Synapse; empty: there is none.
func findSynapse(ctx context.Context) string {
	candidates := []string{os.Getenv(SynapseVariable), "python3"}
	if cache, err := os.UserCacheDir(); err == nil { // where this repository's tests keep theirs
		found, _ := filepath.Glob(filepath.Join(cache, "keyward", "venv-*", "lib", "python3*", "site-packages", "synapse"))
		for _, dir := range found {
			candidates = append(candidates, filepath.Join(dir, "..", "..", "..", "..", "bin", "python"))
		}
	}
	for _, python := range candidates {
		if python != "" && exec.CommandContext(ctx, python, "-c", "import synapse").Run() == nil {
			return python
		}
	}
	return ""
}

// startHomeserver runs Synapse on a free port of loopback, with an admin.
func startHomeserver(ctx context.Context, dir string) (*homeserver, error) {
	python := findSynapse(ctx)
	if python == "" {
		return nil, errNoHomeserver
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	h := &homeserver{url: "http://127.0.0.1:" + port, secret: rand.Text(), ended: make(chan error, 1)}
	file := filepath.Join(dir, "homeserver.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, synapse, serverName, dir, port, h.secret, rand.Text()), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-m", "synapse.app.homeserver", "-c", file}
	keys := exec.CommandContext(ctx, python, append(args, "--generate-keys")...)
	keys.Dir = dir
	if out, err := keys.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("synapse: %w: %.500s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "homeserver.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // Synapse has its own
	h.cmd = exec.Command(python, args...)
	h.cmd.Dir, h.cmd.Stdout, h.cmd.Stderr = dir, log, log
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { h.ended <- h.cmd.Wait() }()
	if err := h.ready(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// ready waits for the homeserver and makes the admin's account.
func (h *homeserver) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, matrixStart)
	defer cancel()
	for h.call(ctx, http.MethodGet, "/health", "", nil, nil) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("synapse does not start: %w", ctx.Err())
		case err := <-h.ended:
			h.ended <- err
			return fmt.Errorf("synapse ended: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	var nonce struct {
		Nonce string `json:"nonce"`
	}
	if err := h.call(ctx, http.MethodGet, "/_synapse/admin/v1/register", "", nil, &nonce); err != nil {
		return err
	}
	password := rand.Text()
	mac := hmac.New(sha1.New, []byte(h.secret)) // as Synapse's interface wants it
	fmt.Fprintf(mac, "%s\x00admin\x00%s\x00notadmin", nonce.Nonce, password)
	var account struct {
		Token string `json:"access_token"`
	}
	err := h.call(ctx, http.MethodPost, "/_synapse/admin/v1/register", "", map[string]any{
		"nonce": nonce.Nonce, "username": "admin", "password": password, "admin": false, "mac": hex.EncodeToString(mac.Sum(nil)),
	}, &account)
	h.token = account.Token
	return err
}

// call calls the homeserver; out nil: the answer is not read.
func (h *homeserver) call(ctx context.Context, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("homeserver answers %d: %.200s", res.StatusCode, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

func (h *homeserver) close() error {
	err := h.cmd.Process.Signal(syscall.SIGTERM)
	<-h.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

const synapse = `
server_name: %[1]s
pid_file: %[2]s/homeserver.pid
report_stats: false
listeners:
  - {port: %[3]s, type: http, tls: false, bind_addresses: ["127.0.0.1"], resources: [{names: [client]}]}
database: {name: sqlite3, args: {database: %[2]s/homeserver.db}}
media_store_path: %[2]s/media
signing_key_path: %[2]s/signing.key
registration_shared_secret: %[4]q
macaroon_secret_key: %[5]q
form_secret: %[5]q
trusted_key_servers: []
suppress_key_server_warning: true
federation_domain_whitelist: []
presence: {enabled: false}
rc_message: {per_second: 1000, burst_count: 1000}
`
