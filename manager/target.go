package manager

import (
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A Target is something behind the gateway.
type Target struct {
	Meta
	TargetSpec
}

// A NewTarget is a target that is to be created.
type NewTarget struct {
	ID string `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Stable name, such as github"`
	TargetSpec
}

// A TargetSpec is what is chosen of a target. Its parts are those of
// [snapshot.Target].
type TargetSpec struct {
	Kind       policies.Kind     `json:"kind" enum:"mcp,llm,http" doc:"What it speaks"`
	Labels     map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"Free labels; a policy sees them"`
	Match      []snapshot.Match  `json:"match" minItems:"1" maxItems:"64" doc:"Ways to reach it; any one of them. No other target may have an equal one"`
	Upstream   snapshot.Upstream `json:"upstream,omitzero" doc:"Where its credential may be sent"`
	Credential string            `json:"credential,omitempty" maxLength:"63" doc:"Id of its credential; absent: nothing is injected"`
	Inject     *snapshot.Inject  `json:"inject,omitempty" doc:"How the credential enters a request; absent: nothing is injected"`
	MCP        *snapshot.MCP     `json:"mcp,omitempty" doc:"Settings of an MCP target"`
	Audit      *snapshot.Audit   `json:"audit,omitempty" doc:"How requests to it are recorded; absent: without arguments, and denied while they can't be"`
}

// Validate checks t.
func (t NewTarget) Validate() error {
	if !ValidID(t.ID) {
		return invalid("id", "must match %s", IDPattern)
	}
	return t.TargetSpec.Validate()
}

// Validate checks s as a gateway will, and for what no gateway can check.
func (s TargetSpec) Validate() error {
	// On the wire an empty list is an absent one, which does not restrict.
	if err := notEmpty("upstream", s.Upstream); err != nil {
		return err
	}
	if s.MCP != nil && s.MCP.Revisions != nil && len(s.MCP.Revisions) == 0 {
		return invalid("mcp.revisions", "must not be empty; leave it out for all of them")
	}
	if err := validLabels(s.Labels); err != nil {
		return err
	}
	// A key that may go anywhere the route leads is a key that a change of the
	// route gives away.
	if s.Credential != "" && len(s.Upstream.Hosts) == 0 && len(s.Upstream.Clusters) == 0 {
		return invalid("upstream", "must name where the credential may be sent")
	}
	w := s.Wire("any")
	_, err := snapshot.DecodeTarget(snapshot.EncodeTarget(&w))
	return fieldError("", err)
}

// Wire is s as a gateway gets it, under an id.
func (s TargetSpec) Wire(id string) snapshot.Target {
	return snapshot.Target{
		ID:         id,
		Kind:       s.Kind,
		Labels:     s.Labels,
		Match:      s.Match,
		Upstream:   s.Upstream,
		Credential: s.Credential,
		Inject:     s.Inject,
		MCP:        s.MCP,
		Audit:      s.Audit,
	}
}
