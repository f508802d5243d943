package demo

import (
	"keyward"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/compile"
	"keyward/tools/demo/upstream"
)

// Names of the demo's parts, as they stand in the snapshot and in the gateway's
// configuration.
const (
	mcpTarget  = "code-host"
	llmTarget  = "llm"
	mcpCluster = "code-host-upstream"
	llmCluster = "llm-upstream"
	mcpPath    = "/mcp-servers/code-host/mcp"
	llmPath    = "/v1"
	repository = "acme/site" // the only one whose issues the Worker may open
)

// newSnapshot is who may do what at the start of the demo.
func newSnapshot(s secrets) (*snapshot.Snapshot, error) {
	policy, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": keyward.DefaultPolicy}}, compile.Options{})
	if err != nil {
		return nil, err
	}
	toMCP := snapshot.Upstream{Clusters: []string{mcpCluster}}
	toLLM := snapshot.Upstream{Clusters: []string{llmCluster}}
	mcpKey, err := s.sealed("code-host-key", s.mcpKey, toMCP)
	if err != nil {
		return nil, err
	}
	llmKey, err := s.sealed("llm-key", s.llmKey, toLLM)
	if err != nil {
		return nil, err
	}
	bearer := &snapshot.Inject{Form: snapshot.Bearer}
	return &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "demo", Generation: 1,
		Policy: &snapshot.Policy{Version: policy.Version, Program: policy.Program},
		Targets: []snapshot.Target{
			{ID: mcpTarget, Kind: policies.KindMCP, Match: []snapshot.Match{{Route: mcpTarget, Path: mcpPath}}, Upstream: toMCP, Credential: mcpKey.ID, Inject: bearer},
			{ID: llmTarget, Kind: policies.KindLLM, Match: []snapshot.Match{{Route: llmTarget, Path: llmPath}}, Upstream: toLLM, Credential: llmKey.ID, Inject: bearer},
		},
		Credentials: []snapshot.Credential{mcpKey, llmKey},
		Consumers:   []snapshot.Consumer{researcher(s, snapshot.Active)},
	}, nil
}

// researcher is the demo's Worker and what it was granted.
func researcher(s secrets, state snapshot.State) snapshot.Consumer {
	return snapshot.Consumer{
		ID: "researcher", Kind: "worker", State: state,
		Tokens: []snapshot.Token{{ID: "first", SHA256: digest(s.worker)}},
		Grants: []snapshot.Grant{
			{Target: mcpTarget, Grant: policies.Grant{
				ID:        "issues",
				Tools:     []string{upstream.ToolRead, upstream.ToolCreate, upstream.ToolEcho},
				Arguments: map[string]map[string][]any{upstream.ToolCreate: {"repository": {repository}}},
			}},
			{Target: llmTarget, Grant: policies.Grant{ID: "chat", Methods: []string{"POST"}, Paths: []string{"/v1/chat"}}},
		},
	}
}
