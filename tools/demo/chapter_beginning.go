package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"keyward"
	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tools/demo/upstream"
)

const (
	consumerID = "researcher"
	repository = "acme/site" // the only one in which the Worker may open issues
)

// beginning is what an administrator does before a Worker can work.
var beginning = chapter{title: "An administrator sets things up at the Manager", steps: []step{
	{"the default policy is published: nothing without a grant", (*teller).publishDefault},
	{"a consumer for the Worker, and its token: shown once", (*teller).register},
	{"the real keys of the MCP server and the LLM: sealed before they are sent", (*teller).enrol},
	{"what the gateway leads to, and which key goes there", (*teller).targets},
	{"three tools of the MCP server, one of them in one repository; and the LLM's chat", (*teller).grants},
}}

func (t *teller) publishDefault(ctx context.Context) (string, error) {
	src := manager.PolicySource{Modules: map[string]string{"policy.rego": keyward.DefaultPolicy}}
	p, _, err := t.stage.admin.CreatePolicy(ctx, client.Request{}, manager.PolicySpec{PolicySource: src, Note: "default"})
	if err != nil {
		return "", err
	}
	begin := time.Now()
	_, change, err := t.stage.admin.PublishPolicy(ctx, wait, p.ID)
	return inForce(begin, change, err)
}

func (t *teller) register(ctx context.Context) (string, error) {
	_, _, err := t.stage.admin.CreateConsumer(ctx, client.Request{}, manager.ConsumerSpec{ID: consumerID, Kind: "worker"})
	if err != nil {
		return "", err
	}
	i, _, err := t.stage.admin.IssueToken(ctx, client.Request{}, manager.TokenSpec{Consumer: consumerID, Note: "first"})
	if err != nil {
		return "", err
	}
	t.token = i.Object
	t.hold(i.Secret)
	return fmt.Sprintf("consumer %s, token %s: %s...", consumerID, i.Object.ID, i.Secret[:8]), nil
}

// hold gives the Worker its token, the only secret that it has.
func (t *teller) hold(token string) {
	t.stage.secrets.worker = token
	t.w = newWorker(t.stage.Gateway, token)
}

// clusters is where the key of a target may go.
func clusters(name string) snapshot.Upstream { return snapshot.Upstream{Clusters: []string{name}} }

func (t *teller) enrol(ctx context.Context) (string, error) {
	keys := []*seal.PublicKey{t.stage.secrets.gateway.Public()}
	for id, key := range map[string]struct{ cluster, text string }{
		mcpTarget + "-key": {mcpCluster, t.stage.secrets.mcpKey},
		llmTarget + "-key": {llmCluster, t.stage.secrets.llmKey},
	} {
		secret, err := seal.NewSecret([]byte(key.text))
		if err != nil {
			return "", err
		}
		sealed, err := manager.SealTo(keys, id, 1, clusters(key.cluster), secret)
		if err != nil {
			return "", err
		}
		_, _, err = t.stage.admin.EnrolCredential(ctx, client.Request{}, manager.CredentialSpec{ID: id, CredentialSealed: sealed})
		if err != nil {
			return "", err
		}
	}
	return "the Manager has ciphertext only; the key that opens it is in the gateway's key-swap", nil
}

func (t *teller) targets(ctx context.Context) (string, error) {
	list := []manager.NewTarget{
		{ID: mcpTarget, TargetSpec: manager.TargetSpec{
			Kind: policies.KindMCP, Match: []snapshot.Match{{Route: mcpTarget, Path: mcpPath}},
			Upstream: clusters(mcpCluster), Credential: mcpTarget + "-key", Inject: &snapshot.Inject{Form: snapshot.Bearer},
		}},
		{ID: llmTarget, TargetSpec: manager.TargetSpec{
			Kind: policies.KindLLM, Match: []snapshot.Match{{Route: llmTarget, Path: llmPath}},
			Upstream: clusters(llmCluster), Credential: llmTarget + "-key", Inject: &snapshot.Inject{Form: snapshot.Bearer},
		}},
	}
	if t.stage.matrix != nil { // its credentials are the Workers' own, which the Manager makes
		list = append(list, manager.NewTarget{ID: matrixTarget, TargetSpec: manager.TargetSpec{
			Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: matrixTarget, Path: matrixPath}},
			Upstream: clusters(matrixCluster), Inject: &snapshot.Inject{Form: snapshot.Bearer},
		}})
	}
	for _, n := range list {
		if _, _, err := t.stage.admin.CreateTarget(ctx, client.Request{}, n); err != nil {
			return "", err
		}
	}
	return mcpTarget + " at " + mcpPath + ", " + llmTarget + " at " + llmPath, nil
}

func (t *teller) grants(ctx context.Context) (string, error) {
	_, _, err := t.stage.admin.CreateGrant(ctx, client.Request{}, manager.NewGrant{
		Consumer: consumerID, Target: llmTarget,
		GrantSpec: manager.GrantSpec{Methods: []string{"POST"}, Paths: []string{"/v1/chat"}},
	})
	if err != nil {
		return "", err
	}
	only, err := json.Marshal(repository)
	if err != nil {
		return "", err
	}
	tools := []string{upstream.ToolRead, upstream.ToolCreate, upstream.ToolEcho}
	begin := time.Now()
	g, change, err := t.stage.admin.CreateGrant(ctx, wait, manager.NewGrant{
		Consumer: consumerID, Target: mcpTarget,
		GrantSpec: manager.GrantSpec{
			Tools:     tools,
			Arguments: map[string]map[string][]json.RawMessage{upstream.ToolCreate: {"repository": {only}}},
		},
	})
	t.grant = g
	seen, err := inForce(begin, change, err)
	return strings.Join(tools, ", ") + ": " + seen, err
}
