package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/rego"
)

var policyVersions = noun[manager.Policy]{
	words: "policy", a: "a policy version", example: "v00000007-1f3a9c20", ids: policyIDs,
	view: view[manager.Policy]{"ID LIVE PUBLISHED CREATED NOTE", func(p manager.Policy) []string {
		live := ""
		if p.Live {
			live = "live"
		}
		return []string{p.ID, live, timeCell(p.Published), timeCell(p.Created), p.Note}
	}},
}

// keptPolicies are the commands for the policy versions at the Manager.
func keptPolicies() []*cobra.Command {
	versions := policyVersions.list("List the policy versions that the Manager keeps", "  keyward policy versions --token-file admin.token",
		func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Policy], error) {
			return s.api.Policies(ctx, p)
		})
	versions.Use = "versions"
	return []*cobra.Command{versions, newPolicyShow(), newPolicyDiff(), newPolicyEdit(), newPolicyPublish(), newPolicyRollback()}
}

// version returns the policy version with an id, or the live one.
func (s *session) version(id string) (manager.PolicyText, error) {
	if id == "" {
		st, err := s.api.Status(s.ctx())
		if err != nil {
			return manager.PolicyText{}, err
		}
		if id = st.Policy; id == "" {
			return manager.PolicyText{}, errors.New("no policy is live")
		}
	}
	return s.api.Policy(s.ctx(), id)
}

func newPolicyShow() *cobra.Command {
	var dir string
	cmd := apiCommand(&cobra.Command{
		Use:   "show [VERSION]",
		Short: "Show the text of a policy version, the live one if none is named",
		Example: `  keyward policy show --token-file admin.token

  # into a folder, to go on with
  keyward policy show --out policy/ --token-file admin.token`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeEach(policyIDs),
	}, func(s *session) error {
		p, err := s.version(argument(s.args, 0))
		if err != nil {
			return err
		}
		switch {
		case dir != "":
			_, err = writePolicy(dir, p.PolicySource)
			return err
		case s.format == "table":
			return printModules(s, p)
		default:
			v := view[manager.PolicyText]{policyVersions.view.head, func(p manager.PolicyText) []string { return policyVersions.view.row(p.Policy) }}
			return printOne(s, v, p)
		}
	})
	cmd.Flags().StringVar(&dir, "out", "", "new or empty `folder` for its files")
	return cmd
}

func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

func printModules(s *session, p manager.PolicyText) error {
	w := s.cmd.OutOrStdout()
	for _, name := range p.Names() {
		if _, err := fmt.Fprintf(w, "# %s\n%s\n", name, p.Modules[name]); err != nil {
			return err
		}
	}
	if len(p.Data) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "# data.json\n%s\n", p.Data)
	return err
}

// writePolicy writes the files of a policy into a folder in which nothing is
// yet, and returns their names.
func writePolicy(dir string, src manager.PolicySource) ([]string, error) {
	if err := src.Validate(); err != nil { // a name leads nowhere else
		return nil, err
	}
	var names []string
	put := func(name, text string) error {
		name = filepath.Join(dir, filepath.FromSlash(name))
		names = append(names, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return writeNew(name, text, 0o644)
	}
	for _, name := range src.Names() {
		if err := put(name, src.Modules[name]); err != nil {
			return names, err
		}
	}
	if len(src.Data) > 0 {
		return names, put("data.json", string(src.Data)+"\n")
	}
	return names, nil
}

func newPolicyDiff() *cobra.Command {
	var from, version string
	cmd := apiCommand(&cobra.Command{
		Use:   "diff [PATH...]",
		Short: "Compare files, or a policy version, with the live policy",
		Example: `  # what publishing these files would change
  keyward policy diff policy/ --token-file admin.token

  # two versions
  keyward policy diff --version v00000009-77aa01be --from v00000007-1f3a9c20 --token-file admin.token`,
	}, func(s *session) error {
		if (version == "") == (len(s.args) == 0) {
			return errors.New("name files to compare, or a --version")
		}
		var text string
		if version != "" {
			var err error
			if text, err = s.api.DiffPolicy(s.ctx(), from, version); err != nil {
				return err
			}
		} else {
			src, err := rego.Load(s.args...)
			if err != nil {
				return err
			}
			base, err := s.version(from)
			if err != nil {
				return err
			}
			text = base.Diff(src)
		}
		_, err := fmt.Fprint(s.cmd.OutOrStdout(), text)
		return err
	})
	cmd.Flags().StringVar(&version, "version", "", "`id` of the policy version to compare")
	cmd.Flags().StringVar(&from, "from", "", "`id` of the policy version to compare with; none: the live one")
	must(cmd.RegisterFlagCompletionFunc("version", completeFlag(policyIDs)))
	must(cmd.RegisterFlagCompletionFunc("from", completeFlag(policyIDs)))
	return cmd
}

func newPolicyPublish() *cobra.Command {
	var note, version string
	var keep bool
	cmd := changeCommand(&cobra.Command{
		Use:   "publish [PATH...]",
		Short: "Let a policy decide: files, or a version that is kept",
		Long: `Let a policy decide: files, or a version that is kept. The Manager compiles it and
runs its tests first; if one fails, the policy stays as it was.`,
		Example: `  keyward policy publish policy/ --note "issues may be closed" --wait --token-file admin.token

  # keep it now, publish it later
  keyward policy publish policy/ --keep -o name --token-file admin.token
  keyward policy publish --version v00000009-77aa01be --token-file admin.token`,
	}, func(s *session) error {
		if (version == "") == (len(s.args) == 0) {
			return errors.New("name files to publish, or a --version")
		}
		if version == "" {
			src, err := rego.Load(s.args...)
			if err != nil {
				return err
			}
			p, change, err := s.api.CreatePolicy(s.ctx(), client.Request{}, manager.PolicySpec{PolicySource: src, Note: note})
			if err != nil || keep {
				return show(s, policyVersions.view)(p.Policy, change, err)
			}
			version = p.ID
		}
		return show(s, policyVersions.view)(s.api.PublishPolicy(s.ctx(), client.Request{}, version))
	})
	cmd.Flags().StringVar(&version, "version", "", "`id` of the policy version to publish")
	must(cmd.RegisterFlagCompletionFunc("version", completeFlag(policyIDs)))
	cmd.Flags().StringVar(&note, "note", "", "free text, for the list of versions")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the version, but don't publish it")
	return cmd
}

func newPolicyRollback() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:     "rollback",
		Short:   "Let the version decide that was live before",
		Example: `  keyward policy rollback --wait --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		return show(s, policyVersions.view)(s.api.RollbackPolicy(s.ctx(), client.Request{}))
	})
}

// remotely gives a command with files of a policy the flag to have the Manager
// do it.
func remotely(cmd *cobra.Command, run func(*session, manager.PolicySource) error) *cobra.Command {
	here := cmd.RunE
	cmd = apiCommand(cmd, func(s *session) error {
		src, err := rego.Load(s.args...)
		if err != nil {
			return err
		}
		return run(s, src)
	})
	there := cmd.RunE
	remote := cmd.Flags().Bool("remote", false, "have the Manager do it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *remote {
			return there(cmd, args)
		}
		return here(cmd, args)
	}
	return cmd
}
