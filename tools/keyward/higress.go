package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/higress"
	"keyward/manager/publish"
)

// newImport is the command that takes over what another system has.
func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Take over routes and consumers of a Higress gateway, and Workers of HiClaw",
	}
	cmd.AddCommand(newImportHigress(), newImportHiclaw())
	return cmd
}

func newImportHigress() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "higress",
		Short: "Make targets of Higress' routes, and consumers and grants of its key-auth plugin",
		Long: `Make targets of Higress' routes and MCP servers, and consumers and grants of its
key-auth plugin. What is there is read from the cluster with --kubeconfig, by who
may read ingresses everywhere, and mcpbridges, configmaps and wasmplugins in
Higress' namespace; or from a file, so that no access to a cluster is needed:

  kubectl get ingress -A -o yaml >higress.yaml
  echo --- >>higress.yaml
  kubectl -n higress-system get mcpbridge,configmap,wasmplugin -o yaml >>higress.yaml

A stand-alone Higress has the same in the files below /data.

The keys of key-auth are not taken over, nor a hash of them: they lie in clear in
the resource and its backups, so whoever could read these knows them, and gate
takes no text for a token that is not in the form of one. Each consumer gets a new
token.`,
	}
	cmd.AddCommand(newImportPlan(), newImportApply())
	return cmd
}

// A plan is what would be made.
type plan struct {
	Targets []higress.Proposal `json:"targets"`
	higress.Import
	untargeted []string // the part of Left that is about targets
}

// A planSource is where what is configured is read from: a file, or a cluster.
type planSource struct{ file, kubeconfig, namespace string }

func (f *planSource) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "from", "", "YAML `file` with the objects; - is standard input")
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "read the cluster of this `file`'s current context instead")
	cmd.Flags().StringVar(&f.namespace, "namespace", publish.DefaultNamespace, "namespace of Higress' controller")
	cmd.MarkFlagsOneRequired("from", "kubeconfig")
	cmd.MarkFlagsMutuallyExclusive("from", "kubeconfig")
}

// open gives the objects as text.
func (f *planSource) open(ctx context.Context) (io.ReadCloser, error) {
	switch {
	case f.kubeconfig != "":
		var b bytes.Buffer
		err := publish.Read(ctx, publish.ClusterOptions{Kubeconfig: f.kubeconfig, Namespace: f.namespace}, &b)
		return io.NopCloser(&b), err
	case f.file == "-":
		return io.NopCloser(os.Stdin), nil
	default:
		return os.Open(f.file)
	}
}

func (f *planSource) plan(ctx context.Context) (plan, error) {
	in, err := f.open(ctx)
	if err != nil {
		return plan{}, err
	}
	defer in.Close() // only read
	state := higress.State{Namespace: f.namespace}
	if err := state.Read(in); err != nil {
		return plan{}, fmt.Errorf("%s: %w", cmp.Or(f.file, "the cluster"), err)
	}
	targets, left := state.Propose()
	p := plan{Targets: targets, Import: state.Import(targets), untargeted: left}
	p.Left = slices.Concat(left, p.Left)
	return p, nil
}

func newImportPlan() *cobra.Command {
	return planCommand(&cobra.Command{
		Use:   "plan",
		Short: "Show what would be made, and what could not be mapped",
		Example: `  keyward import higress plan --kubeconfig ~/.kube/config
  kubectl get ingress -A -o yaml | keyward import higress plan --from -
  keyward import higress plan --from higress.yaml -o yaml`,
	}, func(p plan) plan { return p })
}

// newTargetPropose is the part of a plan that is about targets.
func newTargetPropose() *cobra.Command {
	return planCommand(&cobra.Command{
		Use:   "propose",
		Short: "Propose targets for what a Higress gateway has routes and MCP servers for",
		Long: `Propose targets for what a Higress gateway has routes and MCP servers for. None has
a credential. "keyward import higress" says which objects it reads, and makes the
targets and the consumers that may use them.`,
		Example: `  keyward target propose --kubeconfig ~/.kube/config
  kubectl get ingress -A -o yaml | keyward target propose --from -
  keyward target propose --from higress.yaml -o yaml`,
	}, func(p plan) plan { return plan{Targets: p.Targets, Import: higress.Import{Left: p.untargeted}} })
}

// planCommand makes cmd show a part of a plan. It calls no Manager.
func planCommand(cmd *cobra.Command, part func(plan) plan) *cobra.Command {
	var from planSource
	s := &session{}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkFormat(s.format); err != nil {
			return err
		}
		p, err := from.plan(cmd.Context())
		if err != nil {
			return err
		}
		s.cmd = cmd
		return showPlan(s, part(p))
	}
	from.flags(cmd)
	cmd.Flags().StringVarP(&s.format, "output", "o", "table", "table, json, yaml or name")
	return cmd
}

var planView = view[[4]string]{"ID WHAT DETAIL NOTES", func(r [4]string) []string { return r[:] }}

func showPlan(s *session, p plan) error {
	var rows [][4]string
	for _, t := range p.Targets {
		rows = append(rows, [4]string{t.Target.ID, string(t.Target.Kind) + " target", "from " + t.From, strings.Join(t.Notes, "; ")})
	}
	for _, c := range p.Consumers {
		rows = append(rows, [4]string{c.ID, c.Kind, "consumer " + c.Labels["higress"] + " of key-auth", ""})
	}
	for _, g := range p.Grants {
		rows = append(rows, [4]string{g.Consumer, "grant", "for " + g.Target, grantNote(g)})
	}
	if err := printAs(s, planView, any(p), rows); err != nil {
		return err
	}
	return showLeft(s.cmd.ErrOrStderr(), s.format, p.Left)
}

func grantNote(g manager.NewGrant) string {
	if len(g.Tools) > 0 {
		return "every tool, as key-auth knows none: narrow it"
	}
	return ""
}

// showLeft says what could not be mapped, where the document does not.
func showLeft(w io.Writer, format string, left []string) error {
	if format == "json" || format == "yaml" {
		return nil
	}
	for _, l := range left {
		if _, err := fmt.Fprintln(w, "not mapped:", cell(l)); err != nil {
			return err
		}
	}
	return nil
}

func newImportApply() *cobra.Command {
	var from planSource
	var tokens string
	cmd := changeCommand(&cobra.Command{
		Use:   "apply",
		Short: "Make the targets, consumers, grants and tokens",
		Long: `Make what "plan" shows. What is there already is kept as it is, so that it can be
done again after it was cut short. The tokens of consumers that are made are
written to a new file, one a line after the consumer's id.`,
		Example: `  keyward import higress apply --from higress.yaml --tokens-to tokens.txt --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		p, err := from.plan(s.ctx())
		if err != nil {
			return err
		}
		out, err := os.OpenFile(tokens, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		im := &importing{session: s, tokens: out}
		err = errors.Join(im.run(p), out.Close())
		if err := errors.Join(err, printList(s, planView, im.done), showLeft(s.cmd.ErrOrStderr(), s.format, p.Left)); err != nil {
			return err
		}
		return s.changed(im.last)
	})
	from.flags(cmd)
	cmd.Flags().StringVar(&tokens, "tokens-to", "", "new `file` for the tokens")
	must(cmd.MarkFlagRequired("tokens-to"))
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if token, _ := cmd.Flags().GetString("token-file"); from.file == "-" && token == "-" {
			return errors.New("--from and --token-file can't both be standard input")
		}
		return nil
	}
	return cmd
}

// An importing is an import on its way.
type importing struct {
	*session
	tokens *os.File
	done   [][4]string
	last   client.Change
}

// note keeps what became of one object; one that exists is no error.
func (im *importing) note(id, what, detail string, change client.Change, err error) (made bool, _ error) {
	if errors.Is(err, manager.ErrExists) {
		im.done = append(im.done, [4]string{id, what, "kept", detail})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s %q: %w", what, id, err)
	}
	im.last = change
	im.done = append(im.done, [4]string{id, what, "made", detail})
	return true, nil
}

func (im *importing) run(p plan) error {
	for _, t := range p.Targets {
		_, change, err := im.api.CreateTarget(im.ctx(), client.Request{}, t.Target)
		if _, err := im.note(t.Target.ID, "target", strings.Join(t.Notes, "; "), change, err); err != nil {
			return err
		}
	}
	for _, c := range p.Consumers {
		_, change, err := im.api.CreateConsumer(im.ctx(), client.Request{}, c)
		made, err := im.note(c.ID, "consumer", "", change, err)
		if err != nil {
			return err
		}
		if made {
			if err := im.token(c.ID); err != nil {
				return err
			}
		}
	}
	for _, g := range p.Grants {
		if err := im.grant(g); err != nil {
			return err
		}
	}
	return nil
}

// token writes a consumer's first token, for good before anything else happens.
func (im *importing) token(consumer string) error {
	issued, change, err := im.api.IssueToken(im.ctx(), client.Request{}, manager.TokenSpec{Consumer: consumer, Note: "imported from Higress"})
	if err != nil {
		return fmt.Errorf("token of %q: %w", consumer, err)
	}
	im.last = change
	_, err = fmt.Fprintf(im.tokens, "%s\t%s\n", consumer, issued.Secret)
	return errors.Join(err, im.tokens.Sync())
}

func (im *importing) grant(g manager.NewGrant) error {
	has, err := collect(im.session, func(ctx context.Context, p manager.Page) (manager.List[manager.Grant], error) {
		return im.api.Grants(ctx, g.Consumer, g.Target, p)
	})
	if err != nil {
		return err
	}
	if len(has) > 0 {
		_, err := im.note(g.Consumer, "grant", "for "+g.Target, client.Change{}, manager.ErrExists)
		return err
	}
	_, change, err := im.api.CreateGrant(im.ctx(), client.Request{}, g)
	_, err = im.note(g.Consumer, "grant", "for "+g.Target, change, err)
	return err
}
