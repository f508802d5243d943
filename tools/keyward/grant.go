package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var grants = noun[manager.Grant]{
	words: "grant", a: "a grant", example: "gr-01k9x", ids: grantIDs,
	view: view[manager.Grant]{"ID CONSUMER TARGET ALLOWS EXPIRES", func(g manager.Grant) []string {
		return []string{g.ID, g.Consumer, g.Target, allows(g.GrantSpec), timeCell(g.Expires)}
	}},
}

// allows is what a grant lets its consumer do, in short.
func allows(g manager.GrantSpec) string {
	var parts []string
	for _, p := range []struct {
		name string
		list []string
	}{{"tools", g.Tools}, {"prompts", g.Prompts}, {"resources", g.Resources}, {"methods", g.Methods}, {"paths", g.Paths}} {
		if len(p.list) > 0 {
			parts = append(parts, p.name+"="+strings.Join(p.list, ","))
		}
	}
	if len(g.Arguments) > 0 {
		parts = append(parts, "arguments of "+strings.Join(slices.Sorted(maps.Keys(g.Arguments)), ","))
	}
	return strings.Join(parts, " ")
}

// newGrant is the command that handles grants.
func newGrant() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grant",
		Short: "Let consumers use targets, and see who can do what",
	}
	cmd.AddCommand(
		newGrantCreate(), newGrantSet(), newGrantList(), grants.get((*client.Client).Grant),
		grants.end("revoke", "Revoke a grant", (*client.Client).RevokeGrant), newWhoCan(),
	)
	return cmd
}

// A grantForm is what flags say of a grant.
type grantForm struct {
	file                               string
	tools, prompts, resources, methods []string
	paths, arguments                   []string
	expires                            when
}

func (f *grantForm) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "YAML or JSON `file` with the whole grant, in place of the flags below")
	fl.StringSliceVar(&f.tools, "tool", nil, "MCP `tool` that may be called, '*' alone for all (may be repeated)")
	fl.StringSliceVar(&f.prompts, "prompt", nil, "MCP `prompt`, as for tools")
	fl.StringArrayVar(&f.resources, "resource", nil, "`URI` of an MCP resource, as for tools")
	fl.StringArrayVar(&f.arguments, "argument", nil, "`TOOL:NAME=VALUE`: an argument that must be there and have this value, or one of those repeated")
	fl.StringSliceVar(&f.methods, "method", nil, "HTTP `method`, for an llm or http target (default all)")
	fl.StringSliceVar(&f.paths, "prefix", nil, "path `prefix` by whole segments, for an llm or http target (default all)")
	whenFlag(cmd, &f.expires, "expires", "when it ends", "never")
}

// apply changes spec by the flags that were given.
func (f *grantForm) apply(cmd *cobra.Command, spec *manager.GrantSpec) error {
	if f.file != "" {
		*spec = manager.GrantSpec{}
		return readDocument(f.file, spec)
	}
	fl := cmd.Flags()
	for name, to := range map[string]struct{ from, list *[]string }{
		"tool": {&f.tools, &spec.Tools}, "prompt": {&f.prompts, &spec.Prompts}, "resource": {&f.resources, &spec.Resources},
		"method": {&f.methods, &spec.Methods}, "prefix": {&f.paths, &spec.Paths},
	} {
		if fl.Changed(name) {
			*to.list = *to.from
		}
	}
	if fl.Changed("expires") {
		spec.Expires = f.expires.Time
	}
	if !fl.Changed("argument") {
		return nil
	}
	spec.Arguments = map[string]map[string][]json.RawMessage{}
	for _, a := range f.arguments {
		tool, name, value, err := parseArgument(a)
		if err != nil {
			return err
		}
		if spec.Arguments[tool] == nil {
			spec.Arguments[tool] = map[string][]json.RawMessage{}
		}
		spec.Arguments[tool][name] = append(spec.Arguments[tool][name], value)
	}
	return nil
}

// parseArgument reads TOOL:NAME=VALUE. A value that is no JSON is text.
func parseArgument(s string) (tool, name string, value json.RawMessage, err error) {
	left, right, ok := strings.Cut(s, "=")
	i := strings.LastIndex(left, ":")
	if !ok || i <= 0 || i == len(left)-1 {
		return "", "", nil, fmt.Errorf("argument %q is not TOOL:NAME=VALUE", s)
	}
	value = json.RawMessage(right)
	if !json.Valid(value) {
		value, err = json.Marshal(right)
	}
	return left[:i], left[i+1:], value, err
}

func newGrantCreate() *cobra.Command {
	var f grantForm
	cmd := changeCommand(&cobra.Command{
		Use:   "create CONSUMER TARGET",
		Short: "Let a consumer use a target",
		Example: `  keyward grant create worker-researcher github --tool get_issue,list_issues --wait --token-file admin.token

  # one tool, in one repository, for a day
  keyward grant create worker-researcher github --tool create_issue \
      --argument create_issue:repo=acme/site --expires 24h --token-file admin.token

  # a model behind an llm target
  keyward grant create worker-researcher llm --method POST --prefix /v1/chat --token-file admin.token`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeEach(consumerIDs, targetIDs),
	}, func(s *session) error {
		n := manager.NewGrant{Consumer: s.args[0], Target: s.args[1]}
		if err := f.apply(s.cmd, &n.GrantSpec); err != nil {
			return err
		}
		return show(s, grants.view)(s.api.CreateGrant(s.ctx(), client.Request{}, n))
	})
	f.flags(cmd)
	return cmd
}

func newGrantSet() *cobra.Command {
	var f grantForm
	cmd := changeCommand(grants.one(&cobra.Command{
		Use:     "set",
		Short:   "Change what is given of a grant, and leave the rest",
		Example: grants.usage("set", " --tool get_issue --expires 8h --wait"),
	}), func(s *session) error {
		g, err := s.api.Grant(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		if err := f.apply(s.cmd, &g.GrantSpec); err != nil {
			return err
		}
		return show(s, grants.view)(s.api.UpdateGrant(s.ctx(), client.Request{Version: g.Version}, g.ID, g.GrantSpec))
	})
	f.flags(cmd)
	return cmd
}

// ofFlags are the flags that choose grants by consumer and target.
func ofFlags(cmd *cobra.Command, consumer, target *string) {
	cmd.Flags().StringVar(consumer, "consumer", "", "only this consumer's")
	cmd.Flags().StringVar(target, "target", "", "only for this target")
	must(cmd.RegisterFlagCompletionFunc("consumer", completeFlag(consumerIDs)))
	must(cmd.RegisterFlagCompletionFunc("target", completeFlag(targetIDs)))
}

func newGrantList() *cobra.Command {
	var consumer, target string
	cmd := grants.list("List grants", "  keyward grant list --consumer worker-researcher --token-file admin.token",
		func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Grant], error) {
			return s.api.Grants(ctx, consumer, target, p)
		})
	ofFlags(cmd, &consumer, &target)
	return cmd
}

var accessView = view[manager.Access]{"CONSUMER TARGET NOW ALLOWS EXPIRES GRANT", func(a manager.Access) []string {
	now := "yes"
	if !a.Effective {
		now = a.Why
	}
	g := a.Grant
	return []string{g.Consumer, g.Target, now, allows(g.GrantSpec), timeCell(g.Expires), g.ID}
}}

func newWhoCan() *cobra.Command {
	var consumer, target, tool string
	cmd := listCommand(&cobra.Command{
		Use:   "who-can",
		Short: "Show who can do what now, and what keeps the others from it",
		Long: `Show who can do what now: every grant with whether it opens anything, the policy
permitting. NOW is yes, or what is in the way: grant_expired, consumer_suspended,
consumer_revoked, no_live_token.`,
		Example: `  # who may call get_issue at github
  keyward grant who-can --target github --tool get_issue --token-file admin.token

  # all that one consumer may do
  keyward grant who-can --consumer worker-researcher --token-file admin.token`,
		Args: cobra.NoArgs,
	}, func(s *session) error {
		all, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.Access], error) {
			return s.api.Access(ctx, consumer, target, tool, p)
		})
		if err != nil {
			return err
		}
		return printList(s, accessView, all)
	})
	ofFlags(cmd, &consumer, &target)
	cmd.Flags().StringVar(&tool, "tool", "", "only grants for this tool")
	return cmd
}
