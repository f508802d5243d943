package workers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"keyward/manager"
	"keyward/policies"
)

// Files of a Worker, in [manager.WorkerFiles].
const (
	tokenFile = "token"
	mcpFile   = "mcp.json"
)

// An Environment says what Workers are told. It has no secrets.
type Environment struct {
	Gateway      string            // URL of the gateway as Workers see it, without path
	Paths        map[string]string // target to the path of its endpoint, where its match does not say it
	MatrixDomain string            // for agents that make Matrix ids; empty: the gateway's host
	Bucket       string            // name of the bucket for agents that ask; empty: keyward
}

func (e Environment) check() error {
	u, err := url.Parse(e.Gateway)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("workers: gateway %q is no http or https URL without path", e.Gateway)
	}
	for target, p := range e.Paths {
		if !path.IsAbs(p) {
			return fmt.Errorf("workers: path %q of target %q must begin with /", p, target)
		}
	}
	return nil
}

// of is the environment of a Worker, and its files. Their only secret is token.
func (e Environment) of(w manager.Worker, token string, targets []manager.Target) (env map[string]string, files map[string][]byte, err error) {
	e.Gateway = strings.TrimSuffix(e.Gateway, "/")
	config, err := e.mcp(token, targets)
	if err != nil {
		return nil, nil, err
	}
	files = map[string][]byte{tokenFile: []byte(token), mcpFile: config}
	env = map[string]string{"HOME": home(w.WithDefaults().Writable)}
	maps.Copy(env, w.Env)
	maps.Copy(env, map[string]string{
		"KEYWARD_WORKER":     w.ID,
		"KEYWARD_GATEWAY":    e.Gateway,
		"KEYWARD_TOKEN_FILE": manager.WorkerFiles + "/" + tokenFile,
		"KEYWARD_MCP_CONFIG": manager.WorkerFiles + "/" + mcpFile,
		"MCPORTER_CONFIG":    manager.WorkerFiles + "/" + mcpFile,
		"OPENAI_BASE_URL":    e.Gateway + e.openAI(targets),
		"ANTHROPIC_BASE_URL": e.Gateway + e.anthropic(targets),
	})
	maps.Copy(env, e.hiclaw(w))
	if w.WithDefaults().Token == manager.ByFile {
		return env, files, nil
	}
	for _, name := range []string{
		"KEYWARD_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
		"HICLAW_WORKER_GATEWAY_KEY", "HICLAW_WORKER_MATRIX_TOKEN", "HICLAW_FS_SECRET_KEY", "HICLAW_AUTH_TOKEN",
	} {
		env[name] = token
	}
	return env, files, nil
}

// hiclaw has the variables that HiClaw's images of Workers read, but for the
// secret ones. All its services are behind the gateway.
func (e Environment) hiclaw(w manager.Worker) map[string]string {
	u, _ := url.Parse(e.Gateway) // was checked
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	return map[string]string{
		"HICLAW_WORKER_NAME":    w.ID,
		"HICLAW_AI_GATEWAY_URL": e.Gateway,
		"HICLAW_CONTROLLER_URL": e.Gateway,
		"HICLAW_MATRIX_URL":     e.Gateway,
		"HICLAW_MATRIX_DOMAIN":  or(e.MatrixDomain, u.Hostname()),
		"HICLAW_FS_ENDPOINT":    e.Gateway,
		"HICLAW_FS_ACCESS_KEY":  w.ID,
		"HICLAW_FS_BUCKET":      or(e.Bucket, "keyward"),
		"HICLAW_STORAGE_PREFIX": "workers/" + w.ID,
	}
}

// mcp is a configuration as MCP clients read it, of all MCP targets that a Worker
// has a grant for.
func (e Environment) mcp(token string, targets []manager.Target) ([]byte, error) {
	type server struct {
		Type      string            `json:"type"`      // as most clients call it
		Transport string            `json:"transport"` // as mcporter does
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers"`
	}
	servers := map[string]server{}
	for _, t := range targets {
		if t.Kind == policies.KindMCP {
			servers[t.ID] = server{"http", "http", e.Gateway + e.path(t), map[string]string{"Authorization": "Bearer " + token}}
		}
	}
	return json.MarshalIndent(map[string]any{"mcpServers": servers}, "", "  ")
}

// path is where a target's endpoint is below the gateway.
func (e Environment) path(t manager.Target) string {
	if p, ok := e.Paths[t.ID]; ok {
		return p
	}
	for _, m := range t.Match {
		if m.Path != "" && m.Host == "" {
			return m.Path
		}
	}
	switch t.Kind {
	case policies.KindMCP:
		return "/mcp-servers/" + t.ID + "/mcp" // where Higress has it
	case policies.KindLLM:
		return "/v1"
	default:
		return "/"
	}
}

// labelAPI is the label of an LLM target that says whose form it speaks.
const labelAPI = "api"

func (e Environment) openAI(targets []manager.Target) string {
	if i := slices.IndexFunc(targets, func(t manager.Target) bool { return t.Kind == policies.KindLLM && t.Labels[labelAPI] != "anthropic" }); i >= 0 {
		return strings.TrimSuffix(strings.TrimSuffix(e.path(targets[i]), "/"), "/chat/completions")
	}
	return "/v1"
}

// anthropic is without the version, which those clients add.
func (e Environment) anthropic(targets []manager.Target) string {
	if i := slices.IndexFunc(targets, func(t manager.Target) bool { return t.Kind == policies.KindLLM && t.Labels[labelAPI] == "anthropic" }); i >= 0 {
		return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(e.path(targets[i]), "/"), "/messages"), "/v1")
	}
	return ""
}

// home is a folder that a Worker can write; without any there is none.
func home(writable map[string]int64) string {
	if _, ok := writable["/tmp"]; ok || len(writable) == 0 {
		return "/tmp"
	}
	return slices.Sorted(maps.Keys(writable))[0]
}
