package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/plugins/verdict"
	"keyward/policies"
	"keyward/policies/compile"
)

// Names that the configuration of Envoy and of the plugins share.
const (
	authority   = "bench.local"
	cluster     = "upstream"
	mcpTarget   = "tracker"
	mcpPath     = "/mcp"
	llmTarget   = "llm"
	llmPath     = "/v1/chat/completions"
	consumerID  = "worker-asking"
	policyFile  = "policy.rego"
	gatewayKeys = "KEYWARD_GATEWAY_KEYS"
)

// bodyBytes is the size of every request and answer body.
const bodyBytes = 1024

// A kit is what the plugins are configured with and the requests are made of.
type kit struct {
	token  string // the consumer's
	key    string // the target's real one
	config string // of gate and key-swap
	// recorded is config with a Manager beside it, who takes records.
	recorded string
	topdown  string // of peer-topdown
	verdict  string // of stamp: what gate would set
	answer   string // the upstream's
	env      []string
}

// newKit makes fresh secrets and a snapshot around them.
func newKit() (*kit, error) {
	k := &kit{key: "sk-" + rand.Text(), answer: padded(answerBody)}
	var err error
	if k.token, err = token.New(rand.Reader); err != nil {
		return nil, err
	}
	rego, err := os.ReadFile(policyFile)
	if err != nil {
		return nil, err
	}
	s, err := k.snapshot(string(rego))
	if err != nil {
		return nil, err
	}
	k.config = `{"snapshot":` + string(snapshot.Encode(s)) + `}`
	if err := k.follow(); err != nil {
		return nil, err
	}
	k.verdict = verdict.Property + "=" + string(verdict.Verdict{
		Consumer: consumerID, Target: mcpTarget, Credential: s.Credentials[0].ID,
		Generation: s.Generation, Decision: "01JDXN3Z5T0000000000000000",
	}.Encode())
	topdown, err := json.Marshal(map[string]any{"policy": string(rego), "input": policies.Input{
		Kind:     policies.KindMCP,
		Consumer: policies.Consumer{ID: consumerID, Kind: "worker", Labels: s.Consumers[0].Labels},
		Target:   policies.Target{ID: mcpTarget, Kind: policies.KindMCP, Labels: s.Targets[0].Labels},
		Grants:   grants(mcpTarget),
	}})
	if err != nil {
		return nil, err
	}
	k.topdown = string(topdown)
	return k, nil
}

// snapshot has the consumer that asks among others, and the two targets. It
// puts the gateway's private key into the kit's environment.
func (k *kit) snapshot(rego string) (*snapshot.Snapshot, error) {
	program, err := compile.Compile(compile.Source{Modules: map[string]string{policyFile: rego}}, compile.Options{Entrypoints: compile.DefaultEntrypoints})
	if err != nil {
		return nil, err
	}
	gateway, err := seal.GenerateKey()
	if err != nil {
		return nil, err
	}
	private, err := gateway.Reveal()
	if err != nil {
		return nil, err
	}
	k.env = []string{gatewayKeys + "=" + private}
	secret, err := seal.NewSecret([]byte(k.key))
	if err != nil {
		return nil, err
	}
	s := &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "bench", Generation: 7,
		Policy: &snapshot.Policy{Version: program.Version, Program: program.Program},
		Targets: []snapshot.Target{
			target(mcpTarget, policies.KindMCP),
			target(llmTarget, policies.KindLLM),
		},
		Consumers: consumers(k.token),
	}
	for _, t := range s.Targets {
		c := snapshot.Credential{ID: t.Credential, Version: 1, Upstream: t.Upstream}
		sealed, err := seal.Seal(gateway.Public(), secret, seal.For(&c))
		if err != nil {
			return nil, err
		}
		c.Sealed = []snapshot.Sealed{sealed}
		s.Credentials = append(s.Credentials, c)
	}
	return s, nil
}

func target(id string, kind policies.Kind) snapshot.Target {
	return snapshot.Target{
		ID: id, Kind: kind, Labels: map[string]string{"owner": "platform"},
		Match:      []snapshot.Match{{Route: id}},
		Upstream:   snapshot.Upstream{Clusters: []string{cluster}, Hosts: []string{authority}},
		Credential: id + "-key",
		Inject:     &snapshot.Inject{Form: snapshot.Bearer},
	}
}

// consumers are the one that asks and some that do not.
func consumers(bearer string) []snapshot.Consumer {
	const others = 20
	digest := token.Digest(bearer)
	all := make([]snapshot.Consumer, 0, 1+others)
	for i := range 1 + others {
		c := snapshot.Consumer{
			ID: consumerID, Kind: "worker", State: snapshot.Active, Labels: map[string]string{"team": "payments"},
			Tokens: []snapshot.Token{{ID: "t1", SHA256: hex.EncodeToString(digest[:])}},
		}
		if i > 0 {
			c.ID = fmt.Sprintf("worker-%d", i)
			other := token.Digest(c.ID)
			c.Tokens[0].SHA256 = hex.EncodeToString(other[:])
		}
		for _, t := range []string{mcpTarget, llmTarget} {
			for _, g := range grants(t) {
				c.Grants = append(c.Grants, snapshot.Grant{Target: t, Grant: g})
			}
		}
		all = append(all, c)
	}
	return all
}

// grants are a consumer's grants on a target. The call that is measured is
// allowed by the second one, and only with this owner.
func grants(target string) []policies.Grant {
	if target == llmTarget {
		return []policies.Grant{{ID: "chat", Methods: []string{"POST"}, Paths: []string{llmPath}}}
	}
	return []policies.Grant{
		{ID: "read", Tools: []string{"issue_get", "issue_list", "comment_list"}},
		{
			ID: "search", Tools: []string{"issue_search", "code_search"},
			Arguments: map[string]map[string][]any{"issue_search": {"owner": {"acme", "acme-labs"}}},
		},
	}
}

// mcp is an allowed tools/call.
func (k *kit) mcp() call {
	return newCall(mcpPath, append(k.headers(),
		[2]string{"accept", "application/json, text/event-stream"},
		[2]string{"mcp-protocol-version", "2025-11-25"},
	), padded(mcpBody), bodyBytes)
}

// llm is an allowed chat completion.
func (k *kit) llm() call {
	return newCall(llmPath, append(k.headers(), [2]string{"accept", "application/json"}), padded(llmBody), bodyBytes)
}

func (k *kit) headers() [][2]string {
	return [][2]string{
		{"authorization", "Bearer " + k.token},
		{"content-type", "application/json"},
		{"user-agent", "keyward-bench/1"},
	}
}

// Bodies; %s is filled up with prose to bodyBytes.
const (
	mcpBody = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"issue_search","arguments":{` +
		`"owner":"acme","repo":"payments","state":"open","labels":["bug","backend","p1"],"limit":20,` +
		`"since":"2026-01-01T00:00:00Z","sort":{"by":"updated","order":"desc"},"include_closed":false,"query":"%s"},` +
		`"_meta":{"progressToken":"call-17"}}}`
	llmBody = `{"model":"gpt-large","temperature":0.2,"max_tokens":256,"stream":false,"messages":[` +
		`{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"%s"}]}`
	answerBody = `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"%s"}],"isError":false}}`
)

const prose = "The payment service answers some refunds twice when the queue is restarted, find out since when and who has seen it. "

// padded fills up a body to bodyBytes.
func padded(body string) string {
	room := bodyBytes - (len(body) - len("%s"))
	return fmt.Sprintf(body, strings.Repeat(prose, room/len(prose)+1)[:room])
}
