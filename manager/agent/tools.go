package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
)

type none struct{}

type byID struct {
	ID string `json:"id" jsonschema:"id of the object"`
}

type page struct {
	After string `json:"after,omitempty" jsonschema:"next of the page before; absent: from the start"`
	Limit int    `json:"limit,omitempty" jsonschema:"longest page, 1 to 500; absent: 100"`
}

func (p page) of() manager.Page { return manager.Page{After: p.After, Limit: p.Limit} }

type consumerFilter struct {
	page
	State string `json:"state,omitempty" jsonschema:"active, suspended or revoked; absent: all"`
}

type newConsumer struct {
	ID     string            `json:"id" jsonschema:"stable name, such as researcher"`
	Kind   string            `json:"kind" jsonschema:"worker, human or service"`
	Labels map[string]string `json:"labels,omitempty" jsonschema:"labels that the policy sees"`
}

type grantFilter struct {
	page
	Consumer string `json:"consumer,omitempty" jsonschema:"only this consumer's"`
	Target   string `json:"target,omitempty" jsonschema:"only on this target"`
}

type accessFilter struct {
	grantFilter
	Tool string `json:"tool,omitempty" jsonschema:"only who may call this tool"`
}

type newGrant struct {
	Consumer  string                      `json:"consumer" jsonschema:"id of the consumer that will be allowed"`
	Target    string                      `json:"target" jsonschema:"id of the target"`
	Tools     []string                    `json:"tools,omitempty" jsonschema:"MCP tools that may be called; absent: none; * alone: all"`
	Prompts   []string                    `json:"prompts,omitempty" jsonschema:"MCP prompts; as for tools"`
	Resources []string                    `json:"resources,omitempty" jsonschema:"MCP resource URIs; as for tools"`
	Arguments map[string]map[string][]any `json:"arguments,omitempty" jsonschema:"tool name, or *, to argument name to the values that it may have"`
	Methods   []string                    `json:"methods,omitempty" jsonschema:"HTTP methods, for an llm or http target; absent: all"`
	Paths     []string                    `json:"paths,omitempty" jsonschema:"path prefixes, for an llm or http target; absent: all"`
	Expires   string                      `json:"expires,omitempty" jsonschema:"when it ends, RFC 3339; absent: never"`
}

// spec is g as the API takes it.
func (g newGrant) spec() (manager.NewGrant, error) {
	var n manager.NewGrant
	b, err := json.Marshal(g)
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	return n, err
}

// A list is a page of objects. They are shown as the API shows them.
type list struct {
	Items any    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func listed[T any](l manager.List[T], err error) (list, error) {
	return list{Items: l.Items, Next: l.After}, err
}

// A done is an object after a change, with the generation that made it.
type done struct {
	Object     any    `json:"object,omitempty"`
	Generation uint64 `json:"generation"`
}

func changed[T any](v T, c client.Change, err error) (done, error) {
	return done{Object: v, Generation: c.Generation}, err
}

func (s *server) register(m *mcp.Server) {
	tool(s, m, "status", "Shows the Manager's generation, live policy and counts.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, _ none) (any, error) {
			return c.Status(ctx)
		})
	tool(s, m, "gateways.list", "Lists gateways, and how far each is behind.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in page) (list, error) {
			return listed(c.Gateways(ctx, in.of()))
		})
	tool(s, m, "targets.list", "Lists what is behind the gateway: MCP servers, LLM providers, HTTP services.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in page) (list, error) {
			return listed(c.Targets(ctx, in.of()))
		})
	s.registerConsumers(m)
	s.registerGrants(m)
}

func (s *server) registerConsumers(m *mcp.Server) {
	tool(s, m, "consumers.list", "Lists consumers: the identities that the gateway knows.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in consumerFilter) (list, error) {
			return listed(c.Consumers(ctx, snapshot.State(in.State), in.of()))
		})
	tool(s, m, "consumers.get", "Shows one consumer.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in byID) (any, error) {
			return c.Consumer(ctx, in.ID)
		})
	tool(s, m, "consumers.create", "Makes a consumer. It has no token and no grant yet, so it may do nothing.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in newConsumer) (done, error) {
			return changed(c.CreateConsumer(ctx, client.Request{}, manager.ConsumerSpec{ID: in.ID, Kind: in.Kind, ConsumerUpdate: manager.ConsumerUpdate{Labels: in.Labels}}))
		})
	tool(s, m, "consumers.suspend", "Suspends a consumer at once: it may do nothing until it is resumed.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in byID) (done, error) {
			return changed(c.SuspendConsumer(ctx, client.Request{}, in.ID))
		})
	tool(s, m, "consumers.resume", "Resumes a suspended consumer.",
		func(ctx context.Context, r *mcp.CallToolRequest, c *client.Client, in byID) (done, error) {
			if err := mayGrant(r, in.ID); err != nil {
				return done{}, err
			}
			return changed(c.ResumeConsumer(ctx, client.Request{}, in.ID))
		})
}

func (s *server) registerGrants(m *mcp.Server) {
	tool(s, m, "grants.list", "Lists grants.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in grantFilter) (list, error) {
			return listed(c.Grants(ctx, in.Consumer, in.Target, in.of()))
		})
	tool(s, m, "access.list", "Shows who can do what, by the grants in force.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in accessFilter) (list, error) {
			return listed(c.Access(ctx, in.Consumer, in.Target, in.Tool, in.of()))
		})
	tool(s, m, "grants.create", "Grants a consumer tools of a target, or methods and paths of it. Never for the agent itself.",
		func(ctx context.Context, r *mcp.CallToolRequest, c *client.Client, in newGrant) (done, error) {
			if err := mayGrant(r, in.Consumer); err != nil {
				return done{}, err
			}
			n, err := in.spec()
			if err != nil {
				return done{}, fmt.Errorf("grant: %w", err)
			}
			return changed(c.CreateGrant(ctx, client.Request{}, n))
		})
	tool(s, m, "grants.revoke", "Revokes a grant at once; open streams that rest on it are cut.",
		func(ctx context.Context, _ *mcp.CallToolRequest, c *client.Client, in byID) (done, error) {
			change, err := c.RevokeGrant(ctx, client.Request{}, in.ID)
			return done{Generation: change.Generation}, err
		})
}
