// Package hiclaw reads what HiClaw's controller is told of Workers, and says what
// Workers of Keyward they become. What has no counterpart is named, one by one.
//
// It only reads text. The objects are the files that `hiclaw apply` takes, or what
// kubectl prints.
package hiclaw

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read.
const (
	MaxBytes   = 4 << 20
	MaxObjects = 1000
	maxDepth   = 32
)

// An Import is what definitions come to.
type Import struct {
	Workers []Proposal `json:"workers"`
	Left    []string   `json:"left"` // objects of other kinds, and what to do instead
}

// Read adds the objects of a YAML or JSON stream, which errors call name. It adds
// nothing if anything of it can't be read.
func (im *Import) Read(name string, r io.Reader, opt Options) error {
	limited := &io.LimitedReader{R: r, N: MaxBytes + 1}
	d := yaml.NewDecoder(limited)
	var read Import
	for n := 1; ; n++ {
		var doc yaml.Node
		err := d.Decode(&doc)
		switch {
		case limited.N <= 0:
			return fmt.Errorf("%s: more than %d bytes", name, MaxBytes)
		case errors.Is(err, io.EOF):
			return im.add(name, read)
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := read.document(&doc, opt); err != nil {
			return fmt.Errorf("%s: document %d: %w", name, n, err)
		}
	}
}

// add takes over what was read, unless a Worker of that name is there already.
func (im *Import) add(name string, read Import) error {
	for i, p := range read.Workers {
		twice := func(q Proposal) bool { return q.Worker.ID == p.Worker.ID }
		if slices.ContainsFunc(im.Workers, twice) || slices.ContainsFunc(read.Workers[:i], twice) {
			return fmt.Errorf("%s: %s: a Worker %q is defined twice", name, p.From, p.Worker.ID)
		}
	}
	im.Workers = append(im.Workers, read.Workers...)
	im.Left = append(im.Left, read.Left...)
	return nil
}

// document adds the object, or the list of them, of one document.
func (im *Import) document(doc *yaml.Node, opt Options) error {
	if len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" {
		return nil // an empty one
	}
	if err := plain(doc, 0); err != nil {
		return err
	}
	o, err := fieldsOf("", doc.Content[0])
	if err != nil {
		return err
	}
	kind, err := o.text("kind")
	if err != nil {
		return err
	}
	if !strings.HasSuffix(kind, "List") {
		return im.object(kind, o, opt)
	}
	items, err := o.list("items")
	if err != nil {
		return err
	}
	for i, item := range items {
		o, err := fieldsOf("", item)
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
		if kind, err = o.text("kind"); err == nil {
			err = im.object(kind, o, opt)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// versions are those of HiClaw's API, under its first name and its second.
var versions = []string{"hiclaw.io/v1", "hiclaw.io/v1beta1", "agentteams.io/v1beta1"}

func (im *Import) object(kind string, o *fields, opt Options) error {
	version, err := o.text("apiVersion")
	if err != nil {
		return err
	}
	if !slices.Contains(versions, version) {
		return fmt.Errorf("%s of apiVersion %q is not HiClaw's", kind, version)
	}
	meta, err := o.object("metadata")
	if err != nil {
		return err
	}
	name, err := meta.text("name")
	if err != nil {
		return err
	}
	if len(im.Workers)+len(im.Left) >= MaxObjects {
		return fmt.Errorf("more than %d objects", MaxObjects)
	}
	spec, err := o.object("spec")
	if err != nil {
		return err
	}
	from := kind + "/" + name
	o.take("status") // what its controller saw
	switch kind {
	case "Worker":
		p, err := propose(from, name, spec, opt)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if err := p.metadata(meta); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		p.leave(o)
		im.Workers = append(im.Workers, p)
	case "Team":
		if err := im.team(from, name, spec, opt); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	default:
		im.Left = append(im.Left, from+": "+insteadOf(kind))
	}
	return nil
}

// insteadOf says what takes the place of an object that is no Worker.
func insteadOf(kind string) string {
	switch kind {
	case "Human":
		return "people are no objects here: matrix.admins in the Manager's configuration, admin tokens, or an OpenID provider's groups"
	case "Manager":
		return "the Manager is a service without a model; it needs none of this"
	case "Project":
		return "a shared room and a shared prefix are made by hand: keyward room create"
	default:
		return "this kind is not known"
	}
}

// plain refuses what makes a document mean more than it shows: aliases, merged
// keys, tags of its own, and depth without end.
func plain(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("line %d: deeper than %d levels", n.Line, maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return fmt.Errorf("line %d: aliases are not taken", n.Line)
	case n.Tag == "!!merge" || n.Tag != "" && !strings.HasPrefix(n.Tag, "!!"):
		return fmt.Errorf("line %d: tag %q is not taken", n.Line, n.Tag)
	}
	for _, c := range n.Content {
		if err := plain(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}
