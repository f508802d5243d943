package agent_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/manager"
	"keyward/manager/agent"
	"keyward/manager/api"
	"keyward/manager/store"
)

// A world is the server on a new store, as key-swap reaches it.
type world struct {
	*testing.T
	url    string
	tokens map[manager.Role]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{T: t, tokens: map[manager.Role]string{}}
	for _, role := range []manager.Role{manager.Operator, manager.Auditor} {
		_, err := s.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
			i, err := tx.IssueAdminToken(t.Context(), manager.AdminTokenSpec{Name: "agents", Role: role})
			w.tokens[role] = i.Secret
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := api.New(s, api.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(agent.New(a, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// headers sends each request with what the gateway would have set.
type headers map[string]string

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// as is a session of a consumer, behind the token of a role.
func (w *world) as(consumer string, role manager.Role) *mcp.ClientSession {
	w.Helper()
	h := headers{"Authorization": "Bearer " + w.tokens[role]}
	if consumer != "" {
		h[agent.ConsumerHeader] = consumer
	}
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := c.Connect(w.Context(), &mcp.StreamableClientTransport{Endpoint: w.url, HTTPClient: &http.Client{Transport: h}}, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { session.Close() })
	return session
}

// call returns what a tool said, and whether it is an error.
func (w *world) call(s *mcp.ClientSession, name string, args any) (string, bool) {
	w.Helper()
	r, err := s.CallTool(w.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		return err.Error(), true
	}
	b, err := json.Marshal(r.Content)
	if err != nil {
		w.Fatal(err)
	}
	return string(b), r.IsError
}

type m = map[string]any

func TestAnAgentAdministers(t *testing.T) {
	w := newWorld(t)
	s := w.as("overseer", manager.Operator)
	for _, step := range []struct {
		tool string
		args m
		want string
	}{
		{"status", m{}, `generation`},
		{"consumers.create", m{"id": "researcher", "kind": "worker", "labels": m{"team": "a"}}, `researcher`},
		{"consumers.list", m{"state": "active"}, `researcher`},
		{"consumers.suspend", m{"id": "researcher"}, `suspended`},
		{"consumers.resume", m{"id": "researcher"}, `active`},
		{"consumers.get", m{"id": "researcher"}, `team`},
		{"targets.list", m{}, `items`},
		{"gateways.list", m{}, `items`},
		{"grants.list", m{"consumer": "researcher"}, `items`},
		{"access.list", m{"consumer": "researcher"}, `items`},
	} {
		if got, failed := w.call(s, step.tool, step.args); failed || !strings.Contains(got, step.want) {
			t.Errorf("%s: failed %v, %s", step.tool, failed, got)
		}
	}
	if got, failed := w.call(s, "grants.create", m{"consumer": "researcher", "target": "absent", "tools": []string{"x"}}); !failed || !strings.Contains(got, "names no target") {
		t.Errorf("a grant on a target that is not there: failed %v, %s", failed, got)
	}
}

func TestNoAgentChangesItsOwnGrants(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]*mcp.ClientSession{
		"itself":               w.as("overseer", manager.Operator),
		"nobody that is known": w.as("", manager.Operator),
	} {
		for _, tool := range []string{"grants.create", "consumers.resume"} {
			got, failed := w.call(s, tool, m{"consumer": "overseer", "target": "github", "tools": []string{"*"}})
			if tool == "consumers.resume" {
				got, failed = w.call(s, tool, m{"id": "overseer"})
			}
			if !failed || !strings.Contains(got, "own grants") && !strings.Contains(got, "who asks") {
				t.Errorf("%s, %s: failed %v, %s", name, tool, failed, got)
			}
		}
	}
}

// What the policy saw as one argument must not be read as another: names count by
// case, twins and strangers are refused, and an id leads to no other route.
func TestArgumentsAreReadAsThePolicySawThem(t *testing.T) {
	w := newWorld(t)
	s := w.as("overseer", manager.Operator)
	if got, failed := w.call(s, "consumers.create", m{"id": "researcher", "kind": "worker"}); failed {
		t.Fatal(got)
	}
	for name, arguments := range map[string]string{
		"another case of a name beside it": `{"id":"researcher","ID":"overseer"}`,
		"another case of a name":           `{"Id":"researcher"}`,
		"a folded letter":                  `{"id":"researcher","\u0131d":"overseer"}`,
		"a stranger":                       `{"id":"researcher","consumer":"overseer"}`,
		"an id that leads up":              `{"id":"../tokens/t/rotate"}`,
		"an id that is two dots":           `{"id":".."}`,
		"an id with a query":               `{"id":"researcher?wait=in_force"}`,
		"an id in other case":              `{"id":"Researcher"}`,
		"an id that is a list":             `{"id":["researcher"]}`,
		"nothing":                          `{}`,
	} {
		if got, failed := w.call(s, "consumers.suspend", json.RawMessage(arguments)); !failed {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, arguments := range map[string]string{
		"itself in other case":               `{"consumer":"Overseer","target":"github","tools":["*"]}`,
		"itself with a space":                `{"consumer":"overseer ","target":"github","tools":["*"]}`,
		"itself behind another":              `{"consumer":"researcher","Consumer":"overseer","target":"github"}`,
		"another target behind the seen one": `{"consumer":"researcher","target":"github","Target":"manager","tools":["*"]}`,
	} {
		if got, failed := w.call(s, "grants.create", json.RawMessage(arguments)); !failed || strings.Contains(got, "names no target") {
			t.Errorf("%s: failed %v, %s", name, failed, got)
		}
	}
	if got, _ := w.call(s, "consumers.get", m{"id": "researcher"}); !strings.Contains(got, "active") {
		t.Errorf("the consumer is not as it was: %s", got)
	}
}

func TestTheRoleOfTheTokenCounts(t *testing.T) {
	w := newWorld(t)
	s := w.as("overseer", manager.Auditor)
	if got, failed := w.call(s, "consumers.list", m{}); failed {
		t.Errorf("an auditor's list: %s", got)
	}
	if got, failed := w.call(s, "consumers.create", m{"id": "x", "kind": "worker"}); !failed || !strings.Contains(got, "operator") {
		t.Errorf("an auditor's change: failed %v, %s", failed, got)
	}
	res, err := http.Post(w.url, "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", res.StatusCode)
	}
}

// No tool may be one that shows a secret or rules the rules.
func TestToolsThatThereAre(t *testing.T) {
	w := newWorld(t)
	r, err := w.as("overseer", manager.Operator).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tool := range r.Tools {
		got = append(got, tool.Name)
	}
	want := []string{
		"access.list", "consumers.create", "consumers.get", "consumers.list", "consumers.resume", "consumers.suspend",
		"gateways.list", "grants.create", "grants.list", "grants.revoke", "status", "targets.list",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("tools = %q, want %q", got, want)
	}
}
