package main

import (
	"context"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var adminTokens = noun[manager.AdminToken]{
	words: "admin-token", a: "what is known of an admin token", example: "at-01k9x", ids: adminTokenIDs,
	view: view[manager.AdminToken]{"ID NAME ROLE EXPIRES CREATED", func(t manager.AdminToken) []string {
		return []string{t.ID, t.Name, string(t.Role), timeCell(t.Expires), timeCell(t.Created)}
	}},
}

// newAdminToken is the command that handles admin tokens.
func newAdminToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin-token",
		Short: "Issue, list and end the tokens of those who administer",
		Long: `Issue, list and end the tokens of those who administer. Roles: an auditor reads
everything, an operator also handles consumers, their tokens and grants, an admin
does all.`,
	}
	cmd.AddCommand(
		newAdminTokenIssue(), adminTokens.get((*client.Client).AdminToken),
		adminTokens.list("List admin tokens", "  keyward admin-token list --token-file admin.token",
			func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.AdminToken], error) {
				return s.api.AdminTokens(ctx, p)
			}),
		adminTokens.end("delete", "End an admin token", (*client.Client).DeleteAdminToken),
	)
	return cmd
}

func newAdminTokenIssue() *cobra.Command {
	var role string
	var expires when
	cmd := outFlag(changeCommand(&cobra.Command{
		Use:     "issue NAME",
		Short:   "Issue an admin token, and show it this once",
		Example: `  keyward admin-token issue "Ada, laptop" --role operator --expires 30d --out ada.token --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		return issue(s, adminTokens.view, func() (manager.Issued[manager.AdminToken], client.Change, error) {
			return s.api.IssueAdminToken(s.ctx(), client.Request{}, manager.AdminTokenSpec{
				Name: s.args[0], Role: manager.Role(role), Expires: expires.Time,
			})
		})
	}))
	cmd.Flags().StringVar(&role, "role", string(manager.Auditor), "auditor, operator or admin")
	must(cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"auditor", "operator", "admin"}, cobra.ShellCompDirectiveNoFileComp)))
	whenFlag(cmd, &expires, "expires", "when it ends", "never")
	return cmd
}
