package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// A server is an MCP server behind the gateway, and a call of one of its tools.
type server struct {
	name      string // its path below /mcp
	allowed   string // the tool that the worker may call
	arguments map[string]any
	answer    string // a part of what it answers
	denied    string // a tool that is there and that the worker may not call
}

// servers are three implementations; the Go SDK's speaks 2025-11-25 with a
// session, and 2026-07-28 without.
var servers = []server{
	{"npm", "echo", map[string]any{"message": "are you there?"}, "are you there?", "get-sum"},
	{"go-stateful", "test_simple_text", map[string]any{}, "simple text", "test_error_handling"},
	{"go-stateless", "test_simple_text", map[string]any{}, "simple text", "test_error_handling"},
}

// A report is what a client's program tells of its session, as JSON.
type report struct {
	Revision string   `json:"revision"`
	Tools    []string `json:"tools"`
	Answer   string   `json:"answer"`
	Denied   struct { // what its user gets to see of the refusal
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Reason   string `json:"reason"`
			Decision string `json:"decision"`
		} `json:"data"`
	} `json:"denied"`
	After string `json:"after"` // answer to a call after the refusal
}

// A client runs one session: list, an allowed call, a denied one, and an allowed
// one again.
type client func(t *testing.T, url, token string, s server) report

// addMCP puts the MCP servers behind the gateway.
func addMCP(t *testing.T, w *world) {
	t.Helper()
	urls := map[string]string{
		"npm": startNPMServer(t), "go-stateful": startGoServer(t, false), "go-stateless": startGoServer(t, true),
	}
	mux := http.NewServeMux()
	for _, s := range servers {
		key := w.add(t, snapshot.Target{
			ID: s.name, Kind: policies.KindMCP, Inject: bearer(),
			Match: []snapshot.Match{{Route: "mcp", Path: "/mcp/" + s.name}},
		}, policies.Grant{Tools: []string{s.allowed}})
		mux.Handle("/mcp/"+s.name, w.guard("Bearer "+key, forward(t, urls[s.name])))
	}
	w.serve(t, "mcp", mux)
}

func testMCP(t *testing.T, w *world, g *gateway) {
	for name, run := range map[string]client{"go": goClient, "python": pythonClient, "typescript": nodeClient} {
		for _, s := range servers {
			t.Run(name+" client, "+s.name+" server", func(t *testing.T) {
				checkReport(t, s, run(t, g.url+"/mcp/"+s.name, w.token, s))
			})
		}
	}
}

func checkReport(t *testing.T, s server, r report) {
	t.Helper()
	if want := []string{s.allowed}; !slices.Equal(r.Tools, want) {
		t.Errorf("the client lists %q, want %q", r.Tools, want)
	}
	if !strings.Contains(r.Answer, s.answer) || !strings.Contains(r.After, s.answer) {
		t.Errorf("the allowed tool answers %q, and %q after a refusal, want %q", r.Answer, r.After, s.answer)
	}
	want := policies.NotGranted.Refusal()
	d := r.Denied
	if d.Code != want.RPCCode || !strings.Contains(d.Message, want.Title) || d.Data.Reason != string(policies.NotGranted) || len(d.Data.Decision) != 26 {
		t.Errorf("the denied tool answers %+v, want code %d, %q", d, want.RPCCode, want.Title)
	}
}

// startNPMServer runs server-everything, which takes any address that it gets:
// the preloaded script has it take the loopback's.
func startNPMServer(t *testing.T) string {
	t.Helper()
	node, dir := testenv.NeedNode(t, testenv.EverythingPackage)
	preload, err := filepath.Abs(filepath.Join("testdata", "loopback.cjs"))
	if err != nil {
		t.Fatal(err)
	}
	addr := testenv.FreeAddr(t)
	testenv.Start(t, testenv.Command{
		Path: node,
		Args: []string{
			"--require", preload,
			filepath.Join(dir, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js"), "streamableHttp",
		},
		Env:     []string{"PORT=" + addr[strings.LastIndexByte(addr, ':')+1:]},
		Healthy: testenv.Listening(addr),
	})
	return "http://" + addr + "/mcp"
}

func startGoServer(t *testing.T, stateless bool) string {
	t.Helper()
	addr := testenv.FreeAddr(t)
	mode := "-stateless=false"
	if stateless {
		mode = "-stateless=true"
	}
	testenv.Start(t, testenv.Command{
		Path:    testenv.GoBuild(t, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"),
		Args:    []string{"-http=" + addr, mode},
		Healthy: testenv.Listening(addr),
	})
	return "http://" + addr + "/"
}

func pythonClient(t *testing.T, url, token string, s server) report {
	t.Helper()
	python := testenv.NeedPython(t, testenv.MCPPackage)
	return runClient(t, python, filepath.Join("testdata", "client.py"), url, token, s)
}

func nodeClient(t *testing.T, url, token string, s server) report {
	t.Helper()
	node, dir := testenv.NeedNode(t, testenv.MCPSDKPackage)
	// Node finds a module's packages from where the module is.
	script := filepath.Join(dir, "client-"+filepath.Base(t.TempDir())+".mjs")
	source, err := os.ReadFile(filepath.Join("testdata", "client.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, source, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(script) })
	return runClient(t, node, script, url, token, s)
}

// runClient runs a client's program. The token goes in by standard input: no
// secret is an argument.
func runClient(t *testing.T, program, script, url, token string, s server) report {
	t.Helper()
	in, err := json.Marshal(map[string]any{
		"url": url, "token": token, "allowed": s.allowed, "arguments": s.arguments, "denied": s.denied,
	})
	if err != nil {
		t.Fatal(err)
	}
	var r report
	runScript(t, program, script, in, &r)
	return r
}

// runScript runs a program with in as its standard input, and reads its standard
// output as JSON.
func runScript(t *testing.T, program, script string, in []byte, out any) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, script)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("%s says %q: %v", script, b, err)
	}
}
