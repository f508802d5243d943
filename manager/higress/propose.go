package higress

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A Proposal is a target that could be made of what Higress has.
type Proposal struct {
	Target manager.NewTarget `json:"target"`
	From   string            `json:"from"`            // such as "Ingress higress-system/ai-route-main.internal"
	Notes  []string          `json:"notes,omitempty"` // what to look after before it is made
}

// Propose returns the targets that could be made, by id, and what no target can
// be made of. None has a credential: that is enrolled, and never read from
// Higress.
func (s *State) Propose() (list []Proposal, left []string) {
	p := proposer{state: s, controller: cmp.Or(s.Namespace, controllerNamespace), byRoute: map[string]int{}}
	for i := range s.ingresses {
		p.ingress(&s.ingresses[i])
	}
	p.mcp()
	for i := range p.list {
		t := &p.list[i]
		if err := t.Target.Validate(); err != nil {
			p.left = append(p.left, fmt.Sprintf("%s: %v", t.From, err))
			continue
		}
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Proposal) int { return cmp.Compare(a.Target.ID, b.Target.ID) })
	return list, p.left
}

type proposer struct {
	state      *State
	controller string
	list       []Proposal
	byRoute    map[string]int // index of list
	left       []string
}

// ingress proposes a target for one route, or adds the route to that of which it
// is a part: a route that Higress falls back to is the same target.
func (p *proposer) ingress(i *ingress) {
	route := i.route(p.controller)
	if i.spec.Class != "" && i.spec.Class != "higress" {
		return // another gateway's
	}
	if v := i.annotation("canary"); v == "true" {
		p.left = append(p.left, i.String()+": a canary; add its route to the target that it is the canary of")
		return
	}
	clusters, notes := i.clusters()
	if base, ok := strings.CutSuffix(route, fallbackSuffix); ok {
		if n, ok := p.byRoute[base+internalSuffix]; ok {
			t := &p.list[n].Target
			t.Match = append(t.Match, snapshot.Match{Route: route})
			t.Upstream.Clusters = union(t.Upstream.Clusters, clusters)
			p.byRoute[route] = n
			return
		}
	}
	kind := p.kind(i)
	t := manager.NewTarget{ID: p.id(i, kind), TargetSpec: manager.TargetSpec{Kind: kind, Match: []snapshot.Match{{Route: route}}}}
	t.Upstream.Clusters = clusters
	if v := i.annotation("upstream-vhost"); v != "" {
		notes = append(notes, "the gateway sends it as host "+v+", after Keyward's plugins")
	}
	if paths := i.paths(); kind == policies.KindMCP && len(paths) > 1 {
		notes = append(notes, "has several paths: "+strings.Join(paths, ", "))
	}
	if kind == policies.KindHTTP {
		notes = append(notes, "taken as plain HTTP: nothing says that it is an MCP server or an LLM")
	}
	for _, c := range clusters {
		if to := p.upstreamOf(c); to != "" {
			notes = append(notes, c+" is "+to)
		}
	}
	p.byRoute[route] = len(p.list)
	p.list = append(p.list, Proposal{Target: t, From: i.String(), Notes: notes})
}

// kind says what a route speaks, from its name, its annotations, or Higress'
// list of MCP servers.
func (p *proposer) kind(i *ingress) policies.Kind {
	switch {
	case strings.HasPrefix(i.name, aiPrefix) && strings.HasSuffix(i.name, internalSuffix):
		return policies.KindLLM
	case strings.HasPrefix(i.name, mcpPrefix) && strings.HasSuffix(i.name, internalSuffix), i.annotation("mcp-server") == "true":
		return policies.KindMCP
	}
	if c := p.state.config; c != nil && c.Enable {
		for _, m := range c.MatchList {
			if slices.Contains(i.paths(), m.Path) && (m.Domain == "*" || m.Domain == "" || slices.Contains(i.hosts(), m.Domain)) {
				return policies.KindMCP
			}
		}
	}
	return policies.KindHTTP
}

// mcp proposes targets for MCP servers that are in Higress' own configuration
// alone.
func (p *proposer) mcp() {
	c := p.state.config
	if c == nil || !c.Enable {
		return
	}
	for _, s := range c.Servers {
		match := matches(s.Path, s.Domains)
		if len(match) == 0 {
			p.left = append(p.left, fmt.Sprintf("MCP server %q of higress-config: path %q is no absolute path", s.Name, s.Path))
			continue
		}
		p.list = append(p.list, Proposal{
			Target: manager.NewTarget{ID: p.free(plain(s.Name)), TargetSpec: manager.TargetSpec{Kind: policies.KindMCP, Match: match}},
			From:   fmt.Sprintf("MCP server %q of higress-config", s.Name),
			Notes:  []string{"runs inside the gateway: its requests never reach key-swap, so its keys stay in higress-config"},
		})
	}
	for _, m := range c.MatchList {
		if p.served(m.Path) {
			continue
		}
		from := fmt.Sprintf("match_list entry %q of higress-config", m.Path)
		match := matches(m.Path, []string{m.Domain})
		if m.Type != "prefix" && m.Type != "exact" || len(match) == 0 {
			p.left = append(p.left, fmt.Sprintf("%s: a match of type %q has no counterpart", from, m.Type))
			continue
		}
		p.list = append(p.list, Proposal{
			Target: manager.NewTarget{ID: p.free(plain(path.Base(m.Path))), TargetSpec: manager.TargetSpec{Kind: policies.KindMCP, Match: match}},
			From:   from,
			Notes:  []string{"no route has this path: where it leads is not known"},
		})
	}
}

// served reports whether a proposal has a path already: an ingress', or a
// server's.
func (p *proposer) served(path string) bool {
	for i := range p.state.ingresses {
		if slices.Contains(p.state.ingresses[i].paths(), path) {
			return true
		}
	}
	return slices.ContainsFunc(p.list, func(t Proposal) bool {
		return slices.ContainsFunc(t.Target.Match, func(m snapshot.Match) bool { return m.Path == path })
	})
}

func matches(path string, domains []string) []snapshot.Match {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	if len(domains) == 0 || slices.Contains(domains, "*") || slices.Contains(domains, "") {
		return []snapshot.Match{{Path: path}}
	}
	var list []snapshot.Match
	for _, d := range domains {
		list = append(list, snapshot.Match{Host: strings.ToLower(d), Path: path})
	}
	return list
}

// upstreamOf says which address a cluster of Higress' registries stands for;
// empty: not known.
func (p *proposer) upstreamOf(cluster string) string {
	host := cluster[strings.LastIndexByte(cluster, '|')+1:]
	for _, b := range p.state.bridges {
		for _, r := range b.Registries {
			if (r.Type == "dns" || r.Type == "static") && host == r.Name+"."+r.Type {
				return r.Domain
			}
		}
	}
	return ""
}

// id is a name for a route's target that no other has.
func (p *proposer) id(i *ingress, kind policies.Kind) string {
	name := i.name
	switch kind {
	case policies.KindLLM:
		name = strings.TrimPrefix(name, aiPrefix)
	case policies.KindMCP:
		name = strings.TrimPrefix(name, mcpPrefix)
	}
	id := plain(strings.TrimSuffix(name, internalSuffix))
	if p.taken(id) && i.namespace != "" {
		id = plain(i.namespace + "-" + id)
	}
	return p.free(id)
}

func (p *proposer) taken(id string) bool {
	return slices.ContainsFunc(p.list, func(t Proposal) bool { return t.Target.ID == id })
}

func (p *proposer) free(id string) string {
	for n := 2; p.taken(id); n++ {
		base := id[:min(len(id), 58)]
		if next := fmt.Sprintf("%s-%d", strings.TrimRight(base, "._-"), n); !p.taken(next) {
			return next
		}
	}
	return id
}

var notInID = regexp.MustCompile(`[^a-z0-9._-]+`)

// plain is a name in the characters of an id.
func plain(name string) string {
	id := notInID.ReplaceAllString(strings.ToLower(name), "-")
	id = strings.Trim(id[:min(len(id), 63)], "._-")
	return cmp.Or(id, "unnamed")
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
