package hiclaw

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/manager"
)

// Options say what definitions alone do not.
type Options struct {
	// Images are images by digest that take the place of others: by their name, or
	// by a runtime, such as openclaw, for definitions without an image.
	Images map[string]string
	// Targets are those that take the place of MCP servers; without one a server's
	// own name is the target's.
	Targets map[string]string
	// LLM is the target by which Workers reach their models; empty: they get no grant
	// for any.
	LLM string
}

// A Proposal is the Worker that a definition becomes.
type Proposal struct {
	From      string            `json:"from"` // such as Worker/alice
	Worker    manager.NewWorker `json:"worker"`
	Suspended bool              `json:"suspended,omitempty"` // it is not to run
	MCP       []string          `json:"mcp,omitempty"`       // targets of its grants that are MCP servers
	Notes     []string          `json:"notes,omitempty"`     // what is not quite the same
	Left      []string          `json:"left,omitempty"`      // what has no counterpart
	Missing   string            `json:"missing,omitempty"`   // why it can't be made; empty: it can
}

// Labels that keep what a Worker was there.
const (
	labelModel   = "hiclaw.model"
	labelRuntime = "hiclaw.runtime"
	labelTeam    = "hiclaw.team"
	labelRole    = "hiclaw.role"
)

// defaultRuntime is HiClaw's.
const defaultRuntime = "openclaw"

// instead says what takes the place of a member of a definition that no Worker of
// Keyward has.
var instead = map[string]string{
	"identity":      "no file is made: put it into the Worker's prefix as IDENTITY.md",
	"soul":          "no file is made: put it into the Worker's prefix as SOUL.md",
	"agents":        "no file is made: put it into the Worker's prefix as AGENTS.md",
	"skills":        "no file is made: put them into the Worker's prefix as skills/",
	"package":       "is not fetched: put what is in it into the Worker's prefix, and its Dockerfile into an image",
	"expose":        "no Worker listens for anybody: publish a service of its own",
	"channelPolicy": "who may talk to whom is who is in a room: keyward room",
	"peerMentions":  "who may talk to whom is who is in a room: keyward room",
}

func propose(from, name string, spec *fields, opt Options) (Proposal, error) {
	p := Proposal{From: from, Worker: manager.NewWorker{ID: name, WorkerSpec: manager.WorkerSpec{Labels: map[string]string{}}}}
	for _, step := range []func(*fields, Options) error{p.image, p.model, p.servers, p.place, p.state} {
		if err := step(spec, opt); err != nil {
			return p, err
		}
	}
	p.leave(spec)
	return p, p.check()
}

// check reports whether its Worker can be made, but for an image that is missing.
func (p *Proposal) check() error {
	n := p.Worker
	if p.Missing != "" {
		n.Image = "sha256:" + strings.Repeat("0", 64)
	}
	return n.Validate()
}

// leave names what nothing was made of.
func (p *Proposal) leave(f *fields) {
	for _, key := range f.left() {
		why := instead[key]
		if why == "" {
			why = "is not known here"
		}
		p.Left = append(p.Left, f.name(key)+": "+why)
	}
}

func (p *Proposal) image(spec *fields, opt Options) error {
	image, err := spec.text("image")
	if err != nil {
		return err
	}
	runtime, err := spec.text("runtime")
	if err != nil {
		return err
	}
	runtime = or(runtime, defaultRuntime)
	p.Worker.Labels[labelRuntime] = runtime
	from := or(image, runtime)
	switch to := opt.Images[from]; {
	case to != "":
		p.Worker.Image = to
	case strings.Contains(image, "@sha256:"):
		p.Worker.Image = image
	case image == "":
		p.Missing = fmt.Sprintf("it has no image: say which one by digest is runtime %q", runtime)
	default:
		p.Missing = fmt.Sprintf("image %q may be another tomorrow: say which one by digest it is", image)
	}
	return nil
}

func (p *Proposal) model(spec *fields, opt Options) error {
	model, err := spec.text("model")
	if err != nil || model == "" {
		return err
	}
	p.Worker.Labels[labelModel] = model
	if opt.LLM == "" {
		p.Left = append(p.Left, "spec.model: "+model+" is a label alone: no target for it was named, so it gets no grant for one")
		return nil
	}
	p.Worker.Grants = append(p.Worker.Grants, manager.WorkerGrant{Target: opt.LLM})
	p.Notes = append(p.Notes, "the model is a label: its own configuration, or the policy, has to choose "+model)
	return nil
}

// servers makes grants of MCP servers. HiClaw knows them as a whole only.
func (p *Proposal) servers(spec *fields, opt Options) error {
	list, err := spec.list("mcpServers")
	if err != nil {
		return err
	}
	for i, n := range list {
		server, err := p.server(i, n)
		if err != nil {
			return err
		}
		target := or(opt.Targets[server], server)
		if !manager.ValidID(target) {
			return fmt.Errorf("line %d: MCP server %q: its name is no target's: say which one it is", n.Line, server)
		}
		if slices.Contains(p.MCP, target) {
			continue
		}
		p.MCP = append(p.MCP, target)
		p.Worker.Grants = append(p.Worker.Grants, manager.WorkerGrant{
			Target: target, GrantSpec: manager.GrantSpec{Tools: []string{"*"}, Prompts: []string{"*"}, Resources: []string{"*"}},
		})
	}
	if len(p.MCP) > 0 {
		p.Notes = append(p.Notes, "every tool of "+strings.Join(p.MCP, ", ")+", as HiClaw knows none: narrow it")
	}
	return nil
}

// server is the name of an MCP server, which is all of an entry, or its name.
func (p *Proposal) server(i int, n *yaml.Node) (string, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value, nil
	}
	f, err := fieldsOf(fmt.Sprintf("spec.mcpServers[%d]", i), n)
	if err != nil {
		return "", err
	}
	name, err := f.text("name")
	if err != nil {
		return "", err
	}
	for _, key := range f.left() {
		p.Left = append(p.Left, f.name(key)+": where a server is, and how, its target says")
	}
	return name, nil
}

func (p *Proposal) place(spec *fields, _ Options) error {
	for key, label := range map[string]string{"teamRef": labelTeam, "role": labelRole} { // in any order
		v, err := spec.text(key)
		if err != nil {
			return err
		}
		if v != "" {
			p.Worker.Labels[label] = v
		}
	}
	if team := p.Worker.Labels[labelTeam]; team != "" {
		p.Notes = append(p.Notes, "team "+team+" is a label: make its shared room with keyward room create")
	}
	return nil
}

func (p *Proposal) state(spec *fields, _ Options) error {
	state, err := spec.text("state")
	if err != nil {
		return err
	}
	switch state {
	case "", "Running":
	case "Sleeping", "Stopped":
		p.Suspended = true
		p.Notes = append(p.Notes, "it is "+state+" there: it is suspended once it is made")
	default:
		p.Left = append(p.Left, fmt.Sprintf("spec.state: %q is not known here", state))
	}
	return nil
}

// metadata takes over labels. The rest is of the cluster that it comes from, and
// is named where somebody may have set it.
func (p *Proposal) metadata(meta *fields) error {
	labels, err := meta.object("labels")
	if err != nil {
		return err
	}
	for _, key := range labels.left() {
		v, err := labels.text(key)
		if err != nil {
			return err
		}
		p.Worker.Labels[key] = v
	}
	for _, key := range []string{"namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"} {
		meta.take(key) // what an API server writes
	}
	p.leave(meta)
	return p.check()
}
