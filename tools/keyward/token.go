package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var tokens = noun[manager.Token]{
	words: "token", a: "what is known of a consumer token", example: "tk-01k9x", ids: tokenIDs,
	view: view[manager.Token]{"ID CONSUMER STATE ISSUED EXPIRES REPLACED-BY LAST-USED NOTE", func(t manager.Token) []string {
		state := "live"
		if t.Revoked {
			state = "revoked"
		} else if !t.Live(time.Now()) {
			state = "expired"
		}
		return []string{t.ID, t.Consumer, state, timeCell(t.Created), timeCell(t.Expires), t.ReplacedBy, timeCell(t.LastUsed), t.Note}
	}},
}

// newToken is the command that handles consumer tokens.
func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue, list, rotate and revoke consumer tokens",
		Long: `Issue, list, rotate and revoke consumer tokens through the Manager. new and
digest need no Manager: they make a token for a snapshot file.`,
	}
	cmd.AddCommand(
		newTokenIssue(), newTokenList(), tokens.get((*client.Client).Token), newTokenRotate(),
		tokens.verb("revoke", "Revoke a consumer token", (*client.Client).RevokeToken),
		newTokenNew(), newTokenDigest(),
	)
	return cmd
}

func newTokenIssue() *cobra.Command {
	var note string
	var expires when
	cmd := outFlag(changeCommand(&cobra.Command{
		Use:   "issue CONSUMER",
		Short: "Issue a consumer token, and show it this once",
		Example: `  keyward token issue worker-researcher --expires 30d --token-file admin.token

  # into a new file that nobody else can read
  keyward token issue worker-researcher --out worker.token --token-file admin.token`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeEach(consumerIDs),
	}, func(s *session) error {
		return issue(s, tokens.view, func() (manager.Issued[manager.Token], client.Change, error) {
			return s.api.IssueToken(s.ctx(), client.Request{}, manager.TokenSpec{Consumer: s.args[0], Note: note, Expires: expires.Time})
		})
	}))
	cmd.Flags().StringVar(&note, "note", "", "free text")
	whenFlag(cmd, &expires, "expires", "when it ends", "never")
	return cmd
}

func newTokenList() *cobra.Command {
	var f client.TokenFilter
	var age span
	cmd := tokens.list("List consumer tokens, who still uses a replaced one, and what is too old", `  keyward token list --consumer worker-researcher --token-file admin.token

  # tokens that were rotated and still work, with their last use
  keyward token list --replaced --token-file admin.token

  # live tokens that are older than a policy of 90 days allows
  keyward token list --older-than 90d --token-file admin.token`,
		func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Token], error) {
			if age.Duration > 0 {
				f.Before = time.Now().Add(-age.Duration)
			}
			return s.api.Tokens(ctx, f, p)
		})
	cmd.Flags().StringVar(&f.Consumer, "consumer", "", "only this consumer's")
	must(cmd.RegisterFlagCompletionFunc("consumer", completeFlag(consumerIDs)))
	cmd.Flags().BoolVar(&f.Replaced, "replaced", false, "only those that were rotated and still work: LAST-USED says who has not moved on")
	cmd.Flags().Var(&age, "older-than", "only those that were issued so long ago and still work, such as 90d")
	return cmd
}

func newTokenRotate() *cobra.Command {
	var overlap span
	var expires when
	cmd := outFlag(changeCommand(&cobra.Command{
		Use:   "rotate ID",
		Short: "Issue a token's successor, and show it this once",
		Long: `Issue a token's successor, and show it this once. The old one lives on for the
overlap, or ends at once without one.`,
		Example:           tokens.usage("rotate", " --overlap 24h --out worker.token"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeEach(tokenIDs),
	}, func(s *session) error {
		return issue(s, tokens.view, func() (manager.Issued[manager.Token], client.Change, error) {
			return s.api.RotateToken(s.ctx(), client.Request{}, s.args[0],
				manager.TokenRotation{OverlapSeconds: overlap.seconds(), Expires: expires.Time})
		})
	}))
	cmd.Flags().Var(&overlap, "overlap", "how long the old token lives on, such as 1h or 7d")
	whenFlag(cmd, &expires, "expires", "when the new token ends", "after as long a time as the old one was issued for")
	return cmd
}
