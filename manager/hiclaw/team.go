package hiclaw

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/manager"
)

// team adds the Workers that a Team defines itself, as older ones do. Of the team
// nothing is left but a label.
func (im *Import) team(from, name string, spec *fields, opt Options) error {
	var members []string
	add := func(role string, n *yaml.Node) error {
		f, err := fieldsOf("spec", n)
		if err != nil {
			return err
		}
		id, err := f.text("name")
		if err != nil {
			return err
		}
		p, err := propose(from+" "+role+" "+id, id, f, opt)
		if err != nil {
			return fmt.Errorf("%s %q: %w", role, id, err)
		}
		p.Worker.Labels[labelTeam], p.Worker.Labels[labelRole] = name, role
		if err := p.check(); err != nil {
			return fmt.Errorf("%s %q: %w", role, id, err)
		}
		im.Workers = append(im.Workers, p)
		members = append(members, manager.ConsumerPrefix+id)
		return nil
	}
	if leader := spec.take("leader"); leader != nil {
		if err := add("team_leader", leader); err != nil {
			return err
		}
	}
	list, err := spec.list("workers")
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := add("team_worker", n); err != nil {
			return err
		}
	}
	if len(im.Workers) > MaxObjects {
		return fmt.Errorf("more than %d Workers", MaxObjects)
	}
	left := Proposal{}
	left.leave(spec)
	slices.Sort(left.Left)
	for _, l := range left.Left {
		im.Left = append(im.Left, from+": "+l)
	}
	im.Left = append(im.Left, fmt.Sprintf("%s: a team is a label here; its room is made by hand: keyward room create %s %s",
		from, name, strings.Join(members, " ")))
	return nil
}
