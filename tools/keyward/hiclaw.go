package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/hiclaw"
)

func newImportHiclaw() *cobra.Command {
	var opt hiclaw.Options
	var apply bool
	cmd := changeCommand(&cobra.Command{
		Use:   "hiclaw FILE...",
		Short: "Take over Workers that HiClaw defines",
		Long: `Say which Workers HiClaw's definitions become, and what of them has no counterpart;
with --apply make them so. Files hold what "hiclaw apply" takes, or what kubectl
prints; - is standard input.

An image must be known by its digest: --image says which one takes the place of a
tag, or of a runtime for definitions without an image. MCP servers become grants for
the targets of their names, and those must be there ("keyward import higress" makes
them); --target gives one another name.

A Worker that is there already is changed where its image, its labels or a grant
differ; nothing is taken away from it. Either all can be made, or nothing is done.`,
		Example: `  kubectl get workers.hiclaw.io -o yaml >workers.yaml
  keyward import hiclaw workers.yaml --image openclaw=registry/worker-agent@sha256:... --llm llm --token-file admin.token
  keyward import hiclaw workers.yaml --image openclaw=registry/worker-agent@sha256:... --llm llm --apply --token-file admin.token`,
		Args: cobra.MinimumNArgs(1),
	}, func(s *session) error {
		im, err := readHiclaw(s, opt)
		if err != nil {
			return err
		}
		plan, err := planHiclaw(s, im)
		if err != nil {
			return err
		}
		if !apply {
			return plan.show(s)
		}
		if err := plan.complete(); err != nil {
			return errors.Join(plan.show(s), err)
		}
		last, err := plan.apply(s)
		if err := errors.Join(err, plan.show(s)); err != nil {
			return err
		}
		return s.changed(last)
	})
	f := cmd.Flags()
	f.BoolVar(&apply, "apply", false, "make the Workers; without it nothing is changed")
	f.StringToStringVar(&opt.Images, "image", nil, "`FROM=IMAGE`: image by digest in the place of an image, or of a runtime such as openclaw (may be repeated)")
	f.StringToStringVar(&opt.Targets, "target", nil, "`SERVER=TARGET`: target in the place of an MCP server (may be repeated)")
	f.StringVar(&opt.LLM, "llm", "", "`target` by which Workers reach their models; none: no grant for one")
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if from, _ := cmd.Flags().GetString("token-file"); from == "-" && slices.Contains(args, "-") {
			return errors.New("FILE and --token-file can't both be standard input")
		}
		return nil
	}
	return cmd
}

func readHiclaw(s *session, opt hiclaw.Options) (im hiclaw.Import, err error) {
	for _, file := range s.args {
		in := s.cmd.InOrStdin()
		if file != "-" {
			b, err := readBounded(file)
			if err != nil {
				return im, err
			}
			in = bytes.NewReader(b)
		}
		if err := im.Read(file, in, opt); err != nil {
			return im, err
		}
	}
	return im, nil
}

// A hiclawPlan is what becomes of definitions.
type hiclawPlan struct {
	Workers []*hiclawStep `json:"workers"`
	Left    []string      `json:"left"`
}

// A hiclawStep is what becomes of one of them.
type hiclawStep struct {
	hiclaw.Proposal
	Does string `json:"does"` // create, change, nothing; or made, changed once it is done

	is     *manager.Worker // nil: there is none yet
	update manager.WorkerUpdate
}

// planHiclaw compares proposals with what there is.
func planHiclaw(s *session, im hiclaw.Import) (*hiclawPlan, error) {
	p := &hiclawPlan{Left: im.Left}
	for _, w := range im.Workers {
		step := &hiclawStep{Proposal: w, Does: "create"}
		if err := step.compare(s); err != nil {
			return nil, err
		}
		p.Workers = append(p.Workers, step)
	}
	return p, nil
}

func (step *hiclawStep) compare(s *session) error {
	for _, g := range step.Worker.Grants {
		t, err := s.api.Target(s.ctx(), g.Target)
		switch {
		case errors.Is(err, manager.ErrNotFound):
			step.miss(fmt.Sprintf("there is no target %q", g.Target))
		case err != nil:
			return err
		case (t.Kind == "mcp") != slices.Contains(step.MCP, g.Target):
			step.miss(fmt.Sprintf("target %q is of kind %s", g.Target, t.Kind))
		}
	}
	is, err := s.api.Worker(s.ctx(), step.Worker.ID)
	if errors.Is(err, manager.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	step.is = &is.Worker
	return step.difference(s)
}

// miss notes why a Worker can't be made.
func (step *hiclawStep) miss(why string) {
	if step.Missing != "" {
		why = step.Missing + "; " + why
	}
	step.Missing = why
}

// difference is what is to be changed of a Worker that is there.
func (step *hiclawStep) difference(s *session) error {
	u := &step.update
	u.WorkerSpec = step.is.WorkerSpec
	u.Labels = map[string]string{}
	for _, labels := range []map[string]string{step.is.Labels, step.Worker.Labels} {
		for k, v := range labels {
			u.Labels[k] = v
		}
	}
	if step.Worker.Image != "" {
		u.Image = step.Worker.Image
	}
	for _, g := range step.Worker.Grants {
		has, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.Grant], error) {
			return s.api.Grants(ctx, step.is.Consumer, g.Target, p)
		})
		if err != nil {
			return err
		}
		if len(has) == 0 {
			u.Grant = append(u.Grant, g)
		}
	}
	step.Does = "nothing"
	if len(u.Grant) > 0 || u.Image != step.is.Image || !reflect.DeepEqual(u.Labels, orNone(step.is.Labels)) {
		step.Does = "change"
	}
	return nil
}

func orNone(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// complete reports whether all can be made.
func (p *hiclawPlan) complete() error {
	for _, step := range p.Workers {
		if step.Missing != "" {
			return fmt.Errorf("nothing was done: %s: %s", step.From, step.Missing)
		}
	}
	return nil
}

func (p *hiclawPlan) apply(s *session) (last client.Change, err error) {
	for _, step := range p.Workers {
		var change client.Change
		switch step.Does {
		case "create":
			_, change, err = s.api.CreateWorker(s.ctx(), client.Request{}, step.Worker)
			if err == nil && step.Suspended {
				_, change, err = s.api.SuspendWorker(s.ctx(), client.Request{}, step.Worker.ID)
			}
		case "change":
			_, change, err = s.api.UpdateWorker(s.ctx(), client.Request{Version: step.is.Version}, step.is.ID, step.update)
		default:
			continue
		}
		if err != nil {
			return last, fmt.Errorf("%s: %w", step.From, err)
		}
		last = change
		step.Does += "d"
	}
	return last, nil
}

var hiclawView = view[[4]string]{"ID DOES WHAT NOTES", func(r [4]string) []string { return r[:] }}

func (p *hiclawPlan) show(s *session) error {
	var rows [][4]string
	var left []string
	for _, step := range p.Workers {
		notes := slices.Clone(step.Notes)
		if step.Missing != "" {
			notes = append([]string{"MISSING: " + step.Missing}, notes...)
		}
		rows = append(rows, [4]string{step.Worker.ID, step.Does, step.what(), strings.Join(notes, "; ")})
		for _, l := range step.Left {
			left = append(left, step.From+": "+l)
		}
	}
	if err := printAs(s, hiclawView, any(p), rows); err != nil {
		return err
	}
	return showLeft(s.cmd.ErrOrStderr(), s.format, slices.Concat(left, p.Left))
}

// what says in a line what is made or changed.
func (step *hiclawStep) what() string {
	grants, image := step.Worker.Grants, step.Worker.Image
	if step.is != nil {
		grants = step.update.Grant
		if image == step.is.Image {
			image = ""
		}
	}
	var list []string
	if image != "" {
		list = append(list, "image "+shortImage(image))
	}
	for _, g := range grants {
		list = append(list, "grant for "+g.Target)
	}
	if step.is == nil && step.Suspended {
		list = append(list, "suspended")
	}
	return strings.Join(list, ", ")
}
