package manager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"keyward/plugins/snapshot"
	"keyward/policies"
)

// maxArguments is how much JSON the argument constraints of one grant may be.
const maxArguments = 16 << 10

// A Grant lets a consumer use a target.
type Grant struct {
	Meta
	Consumer string `json:"consumer" doc:"Who may"`
	Target   string `json:"target" doc:"What"`
	GrantSpec
}

// A NewGrant is a grant that is to be made.
type NewGrant struct {
	Consumer string `json:"consumer" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Who will be allowed"`
	Target   string `json:"target" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"What"`
	GrantSpec
}

// A GrantSpec is what is chosen of a grant. Its parts are those of
// [policies.Grant], but for the form of its end.
type GrantSpec struct {
	Tools     []string                                `json:"tools,omitempty" maxItems:"256" doc:"MCP tools that may be called, byte for byte; * alone: all; absent: none"`
	Prompts   []string                                `json:"prompts,omitempty" maxItems:"256" doc:"MCP prompts; as for tools"`
	Resources []string                                `json:"resources,omitempty" maxItems:"256" doc:"MCP resource URIs; as for tools"`
	Arguments map[string]map[string][]json.RawMessage `json:"arguments,omitempty" maxProperties:"256" doc:"Tool name, or * for every tool, to argument name to the values that it may have; a named argument must be there"`
	Methods   []string                                `json:"methods,omitempty" maxItems:"32" doc:"HTTP methods, for an llm or http target; absent or *: all"`
	Paths     []string                                `json:"paths,omitempty" maxItems:"256" doc:"Path prefixes by whole segments, for an llm or http target; absent or *: all"`
	Expires   time.Time                               `json:"expires,omitzero" doc:"When it ends, to the second; absent: never"`
}

// Validate checks g.
func (g NewGrant) Validate(now time.Time) error {
	if !ValidID(g.Consumer) {
		return invalid("consumer", "must match %s", IDPattern)
	}
	if !ValidID(g.Target) {
		return invalid("target", "must match %s", IDPattern)
	}
	return g.GrantSpec.Validate(now)
}

// Validate checks s as a gateway will, and for what no gateway can check. Which
// members fit depends on the kind of the target: see [GrantSpec.Fits].
func (s GrantSpec) Validate(now time.Time) error {
	// On the wire an empty list is an absent one, which does not restrict.
	if s.Methods != nil && len(s.Methods) == 0 {
		return invalid("methods", "must not be empty; leave it out for every method")
	}
	if s.Paths != nil && len(s.Paths) == 0 {
		return invalid("paths", "must not be empty; leave it out for every path")
	}
	for field, names := range map[string][]string{
		"tools": s.Tools, "prompts": s.Prompts, "resources": s.Resources, "methods": s.Methods, "paths": s.Paths,
	} {
		if len(names) > 1 && slices.Contains(names, "*") {
			return invalid(field, "* stands for all, and so alone")
		}
		for i, name := range names {
			if err := validText(fmt.Sprintf("%s[%d]", field, i), name, 1, policies.MaxURIBytes); err != nil {
				return err
			}
		}
	}
	size := 0
	for tool, args := range s.Arguments {
		size += len(tool)
		for name, values := range args {
			size += len(name)
			for _, v := range values {
				size += len(v)
			}
		}
	}
	if size > maxArguments {
		return invalid("arguments", "must have at most %d bytes", maxArguments)
	}
	g := Grant{Meta: Meta{ID: "any"}, Consumer: "any", Target: "any", GrantSpec: s}
	w, err := g.Wire()
	if err != nil {
		return err
	}
	c := snapshot.Consumer{ID: "any", Kind: "worker", State: snapshot.Active, Grants: []snapshot.Grant{w}}
	if _, err := snapshot.DecodeConsumer(snapshot.EncodeConsumer(&c)); err != nil {
		return fieldError("/grants/0", err)
	}
	return validExpiry(s.Expires, now)
}

// Fits checks that s has no member that is for the other kinds of target: what
// was meant as a limit would be none.
func (s GrantSpec) Fits(kind policies.Kind) error {
	forMCP := s.Tools != nil || s.Prompts != nil || s.Resources != nil || s.Arguments != nil
	forHTTP := s.Methods != nil || s.Paths != nil
	switch {
	case kind == policies.KindMCP && forHTTP:
		return invalid("methods", "and paths are for targets of kind llm and http")
	case kind != policies.KindMCP && forMCP:
		return invalid("tools", "prompts, resources and arguments are for targets of kind mcp")
	default:
		return nil
	}
}

// Wire is g as a gateway gets it. A part of a second is cut off, so that a grant
// never ends later than it says.
func (g Grant) Wire() (snapshot.Grant, error) {
	w := snapshot.Grant{Target: g.Target, Grant: policies.Grant{
		ID:        g.ID,
		Tools:     g.Tools,
		Prompts:   g.Prompts,
		Resources: g.Resources,
		Methods:   g.Methods,
		Paths:     g.Paths,
	}}
	if !g.Expires.IsZero() {
		w.Expires = g.Expires.Unix()
	}
	if g.Arguments == nil {
		return w, nil
	}
	w.Arguments = make(map[string]map[string][]any, len(g.Arguments))
	for tool, args := range g.Arguments {
		w.Arguments[tool] = make(map[string][]any, len(args))
		for name, values := range args {
			list := make([]any, len(values))
			for i, raw := range values {
				v, err := exact(raw)
				if err != nil {
					return w, invalid("arguments", "[%q][%q][%d] is not a JSON value", tool, name, i)
				}
				list[i] = v
			}
			w.Arguments[tool][name] = list
		}
	}
	return w, nil
}

// exact reads a JSON value with its numbers as they are written.
func exact(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return policies.Number(v)
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// An Access is a grant seen with all that it depends on: who can do what.
type Access struct {
	Grant     Grant `json:"grant"`
	Effective bool  `json:"effective" doc:"Whether it opens anything now, the policy permitting"`
	// Why is empty for an effective one.
	Why string `json:"why,omitempty" enum:"grant_expired,consumer_suspended,consumer_revoked,no_live_token" doc:"What keeps it from that"`
}
