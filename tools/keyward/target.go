package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

var targets = noun[manager.Target]{
	words: "target", a: "a target", example: "github", ids: targetIDs,
	view: view[manager.Target]{"ID KIND MATCH HOSTS CREDENTIAL LABELS", func(t manager.Target) []string {
		var ways []string
		for _, m := range t.Match {
			way := m.Host + m.Path
			if m.Route != "" {
				way = strings.TrimSuffix("route:"+m.Route+" "+way, " ")
			}
			ways = append(ways, way)
		}
		to := append(append([]string(nil), t.Upstream.Hosts...), t.Upstream.Clusters...)
		return []string{t.ID, string(t.Kind), strings.Join(ways, ","), strings.Join(to, ","), t.Credential, mapCell(t.Labels)}
	}},
}

// newTarget is the command that handles targets.
func newTarget() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "target",
		Short: "Create, list and change what lies behind the gateway",
	}
	cmd.AddCommand(
		newTargetCreate(), newTargetSet(), targets.get((*client.Client).Target),
		targets.list("List targets", "  keyward target list --token-file admin.token",
			func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Target], error) {
				return s.api.Targets(ctx, p)
			}),
		targets.end("delete", "Delete a target with the grants for it", (*client.Client).DeleteTarget), newTargetPropose(),
	)
	return cmd
}

// A targetForm is what flags say of a target.
type targetForm struct {
	file, kind              string
	routes, hosts, paths    []string // ways to reach it
	upstreams, clusters     []string // where its credential may go
	credential, inject      string
	name, prefix, username  string
	labels, revisions, from []string
}

func (f *targetForm) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "YAML or JSON `file` with the whole target, in place of the flags below")
	fl.StringVar(&f.kind, "kind", "", "mcp, llm or http")
	fl.StringArrayVar(&f.paths, "path", nil, "path `prefix` by which it is reached, by whole segments (may be repeated)")
	fl.StringArrayVar(&f.routes, "route", nil, "`name` of the gateway's route by which it is reached (may be repeated)")
	fl.StringArrayVar(&f.hosts, "match-host", nil, "`host` by which it is reached (may be repeated)")
	fl.StringSliceVar(&f.upstreams, "host", nil, "`host` to which its credential may be sent (may be repeated)")
	fl.StringSliceVar(&f.clusters, "cluster", nil, "gateway `cluster` to which its credential may be sent (may be repeated)")
	fl.StringVar(&f.credential, "credential", "", "`id` of its credential; empty: nothing is injected")
	fl.StringVar(&f.inject, "inject", "", "how the credential enters a request: bearer, header, query or basic")
	fl.StringVar(&f.name, "inject-name", "", "`name` of the header or query parameter")
	fl.StringVar(&f.prefix, "inject-prefix", "", "`text` before the key in a header, with its space")
	fl.StringVar(&f.username, "inject-username", "", "`user` for basic")
	fl.StringArrayVarP(&f.labels, "label", "l", nil, "`NAME=VALUE` that a policy sees, NAME- to take one away (may be repeated)")
	fl.StringSliceVar(&f.revisions, "revision", nil, "accepted MCP `revision` (may be repeated; default all)")
	fl.StringSliceVar(&f.from, "origin", nil, "accepted `Origin` of a browser, for MCP (may be repeated; default none)")
	must(cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"mcp", "llm", "http"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("inject", cobra.FixedCompletions([]string{"bearer", "header", "query", "basic"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("credential", completeFlag(credentialIDs)))
}

// apply changes spec by the flags that were given.
func (f *targetForm) apply(cmd *cobra.Command, spec *manager.TargetSpec) error {
	if f.file != "" {
		*spec = manager.TargetSpec{}
		return readDocument(f.file, spec)
	}
	given := func(names ...string) bool {
		for _, n := range names {
			if cmd.Flags().Changed(n) {
				return true
			}
		}
		return false
	}
	if given("kind") {
		spec.Kind = policies.Kind(f.kind)
	}
	if given("path", "route", "match-host") {
		spec.Match = nil
		for _, p := range f.paths {
			spec.Match = append(spec.Match, snapshot.Match{Path: p})
		}
		for _, r := range f.routes {
			spec.Match = append(spec.Match, snapshot.Match{Route: r})
		}
		for _, h := range f.hosts {
			spec.Match = append(spec.Match, snapshot.Match{Host: h})
		}
	}
	if given("host") {
		spec.Upstream.Hosts = f.upstreams
	}
	if given("cluster") {
		spec.Upstream.Clusters = f.clusters
	}
	if given("credential") {
		spec.Credential = f.credential
	}
	if given("inject", "inject-name", "inject-prefix", "inject-username") {
		spec.Inject = &snapshot.Inject{Form: snapshot.Form(f.inject), Name: f.name, Prefix: f.prefix, Username: f.username}
	}
	if given("revision", "origin") {
		spec.MCP = &snapshot.MCP{Revisions: f.revisions, Origins: f.from}
	}
	if spec.Labels == nil && len(f.labels) > 0 {
		spec.Labels = map[string]string{}
	}
	return relabel(spec.Labels, f.labels)
}

const targetFile = `

A match of a target that needs more than one of route, host and path, say, is
written in a file:

  kind: mcp
  match: [{host: mcp.example, path: /github}]
  upstream: {hosts: [api.github.com]}
  credential: github-main
  inject: {form: bearer}`

func newTargetCreate() *cobra.Command {
	var f targetForm
	cmd := changeCommand(&cobra.Command{
		Use:   "create ID",
		Short: "Create a target",
		Long:  "Create a target: something behind the gateway." + targetFile,
		Example: `  keyward target create github --kind mcp --path /mcp-servers/github \
      --host api.github.com --credential github-main --inject bearer --token-file admin.token
  keyward target create github -f github.yaml --token-file admin.token`,
		Args: cobra.ExactArgs(1),
	}, func(s *session) error {
		n := manager.NewTarget{ID: s.args[0]}
		if err := f.apply(s.cmd, &n.TargetSpec); err != nil {
			return err
		}
		return show(s, targets.view)(s.api.CreateTarget(s.ctx(), client.Request{}, n))
	})
	f.flags(cmd)
	return cmd
}

func newTargetSet() *cobra.Command {
	var f targetForm
	cmd := changeCommand(&cobra.Command{
		Use:               "set ID",
		Short:             "Change what is given of a target, and leave the rest",
		Long:              "Change what is given of a target, and leave the rest. A file replaces all of it." + targetFile,
		Example:           targets.usage("set", " --credential github-2"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeEach(targetIDs),
	}, func(s *session) error {
		t, err := s.api.Target(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		if err := f.apply(s.cmd, &t.TargetSpec); err != nil {
			return err
		}
		return show(s, targets.view)(s.api.UpdateTarget(s.ctx(), client.Request{Version: t.Version}, t.ID, t.TargetSpec))
	})
	f.flags(cmd)
	return cmd
}
