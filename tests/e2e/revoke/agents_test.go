package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

const ownGrants = `package keyward

import data.keyward.library.administration

deny contains "an agent's own grants" if administration.own("keyward")
`

// An agent is a client of the Manager's MCP server, through the gateway.
type agent struct {
	*world
	session *mcp.ClientSession
	heard   strings.Builder // all that it was told
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	r.Header.Set("X-Mse-Consumer", "somebody-else") // as who wants to be taken for another would
	return http.DefaultTransport.RoundTrip(r)
}

func (a *agent) connect(token string) {
	a.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "overseer", Version: "1"}, nil)
	session, err := c.Connect(a.Context(), &mcp.StreamableClientTransport{
		Endpoint: "http://" + a.envoy.Addr + "/mcp", HTTPClient: &http.Client{Transport: bearer(token)}, DisableStandaloneSSE: true,
	}, nil)
	a.must(err)
	a.Cleanup(func() { session.Close() })
	a.session = session
}

// call returns whether a tool did what it was asked to, and why it did not.
func (a *agent) call(tool string, arguments map[string]any) (ok bool, why string) {
	a.Helper()
	r, err := a.session.CallTool(a.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		a.heard.WriteString(err.Error())
		return false, err.Error()
	}
	b, err := json.Marshal(r)
	a.must(err)
	a.heard.Write(b)
	return !r.IsError, string(b)
}

// TestAnAgentAdministersThroughTheGateway: the Manager is an MCP server behind the
// gateway that it controls. The agent has a consumer token and no other; the policy
// decides what it may do, and its own grants it may not widen.
func TestAnAgentAdministersThroughTheGateway(t *testing.T) {
	testenv.Heavy(t, "a real Envoy")
	w := newWorldWithoutEnvoy(t)
	ctx, none := t.Context(), client.Request{}
	operator, _, err := w.api.IssueAdminToken(ctx, none, nouns.AdminTokenSpec{Name: "agents", Role: nouns.Operator})
	w.must(err)
	sealed := w.seal("manager", 1, operator.Secret, snapshot.Upstream{Clusters: []string{"mcp"}})
	_, _, err = w.api.EnrolCredential(ctx, none, nouns.CredentialSpec{ID: "manager", CredentialSealed: sealed})
	w.must(err)
	_, _, err = w.api.CreateTarget(ctx, none, nouns.NewTarget{ID: "keyward", TargetSpec: nouns.TargetSpec{
		Kind: policies.KindMCP, Match: []snapshot.Match{{Route: "mcp"}}, Upstream: snapshot.Upstream{Clusters: []string{"mcp"}},
		Credential: "manager", Inject: &snapshot.Inject{Form: snapshot.Bearer},
	}})
	w.must(err)
	w.publish(map[string]string{"own.rego": ownGrants}, "policy.rego", "policies/library/administration.rego")
	_, _, err = w.api.CreateConsumer(ctx, none, nouns.ConsumerSpec{ID: "overseer", Kind: "worker"})
	w.must(err)
	token, _, err := w.api.IssueToken(ctx, none, nouns.TokenSpec{Consumer: "overseer"})
	w.must(err)
	tools := []string{"consumers.list", "consumers.suspend", "grants.create", "status"}
	grant, _, err := w.api.CreateGrant(ctx, none, nouns.NewGrant{Consumer: "overseer", Target: "keyward", GrantSpec: nouns.GrantSpec{Tools: tools}})
	w.must(err)
	w.startEnvoy(testenv.EnvoyOptions{})
	w.await()

	a := &agent{world: w}
	a.connect(token.Secret)
	listed, err := a.session.ListTools(ctx, nil)
	w.must(err)
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	if slices.Sort(names); !slices.Equal(names, tools) {
		t.Errorf("it sees %q, want %q", names, tools)
	}
	for tool, arguments := range map[string]map[string]any{"status": {}, "consumers.list": {"state": "active"}} {
		if ok, why := a.call(tool, arguments); !ok {
			t.Errorf("%s: %s", tool, why)
		}
	}
	w.decided("before", w.token.Secret, true)
	if ok, why := a.call("consumers.suspend", map[string]any{"id": "worker"}); !ok {
		t.Errorf("suspending: %s", why)
	}
	w.settled()
	w.decided("suspended by the agent", w.token.Secret, false)

	own := map[string]any{"consumer": "overseer", "target": "api", "paths": []any{"/api"}}
	for tool, arguments := range map[string]map[string]any{
		"consumers.create": {"id": "friend", "kind": "worker"}, // nobody granted it
		"consumers.resume": {"id": "worker"},                   // nor this
		"grants.create":    own,                                // nobody may
		"credentials.get":  {"id": "api"},                      // there is none such
		"log.drop":         {"before": 1},
	} {
		if ok, why := a.call(tool, arguments); ok {
			t.Errorf("%s: %s", tool, why)
		}
	}
	if _, why := a.call("grants.create", own); !strings.Contains(why, "policy") {
		t.Errorf("its own grant is refused for another reason than the policy: %s", why)
	}
	if _, err := w.api.Consumer(ctx, "friend"); !errors.Is(err, nouns.ErrNotFound) {
		t.Errorf("the consumer that it may not create: %v", err)
	}
	grants, err := w.api.Grants(ctx, "overseer", "", nouns.Page{})
	if err != nil || len(grants.Items) != 1 {
		t.Errorf("the agent has %d grants, %v; want one", len(grants.Items), err)
	}

	// Who did it is there twice: in the Manager's event by the admin token, and in the
	// gateway's record by the agent.
	events, err := w.api.Events(ctx, client.EventFilter{Kind: nouns.KindConsumer, Object: "worker"}, nouns.Page{})
	w.must(err)
	if last := events.Items[len(events.Items)-1]; last.Action != "consumer.suspend" || last.Actor.Name != "agents" {
		t.Errorf("the last event is %+v", last)
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.must(testenv.Await(wait, func(ctx context.Context) error {
		log, err := w.api.Log(ctx, client.LogFilter{Consumer: "overseer"}, nouns.Page{Limit: nouns.MaxPage})
		if err != nil {
			return err
		}
		b, err := json.Marshal(log)
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), "consumers.suspend") || !strings.Contains(string(b), "grants.create") {
			return errors.New("the log does not hold the agent's calls")
		}
		return nil
	}))

	_, err = w.api.RevokeGrant(ctx, none, grant.ID)
	w.must(err)
	w.settled()
	if ok, why := a.call("status", nil); ok {
		t.Errorf("without a grant: %s", why)
	}
	if strings.Contains(a.heard.String(), operator.Secret) || strings.Contains(w.envoy.Log(), operator.Secret) {
		t.Error("the operator's token shows")
	}
}
