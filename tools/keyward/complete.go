package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

// completeTime bounds how long a shell waits for names.
const completeTime = 2 * time.Second

// A lister names the objects of one kind.
type lister func(context.Context, *client.Client) ([]string, error)

// completeEach completes the arguments of a command, each with the ids of its
// kind. It asks for no token, and offers nothing when there is none.
func completeEach(kinds ...lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(kinds) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, kinds[len(args)])
	}
}

func offer(cmd *cobra.Command, ids lister) ([]string, cobra.ShellCompDirective) {
	f := cmd.Flags()
	c := connection{f.Lookup("manager").Value.String(), f.Lookup("token-file").Value.String(), f.Lookup("ca-file").Value.String()}
	if c.tokenFile == "-" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	api, err := c.open(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	list, err := ids(ctx, api)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// idsOf reads one page of names.
func idsOf[T any](list manager.List[T], err error, id func(T) string) ([]string, error) {
	var ids []string
	for _, v := range list.Items {
		ids = append(ids, id(v))
	}
	return ids, err
}

func consumerIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Consumers(ctx, "", manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Consumer) string { return v.ID })
}

// completeFlag completes the value of a flag with the ids of a kind.
func completeFlag(ids lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return offer(cmd, ids)
	}
}

func tokenIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Tokens(ctx, client.TokenFilter{}, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Token) string { return v.ID })
}

func targetIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Targets(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Target) string { return v.ID })
}

func credentialIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Credentials(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Credential) string { return v.ID })
}

func grantIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Grants(ctx, "", "", manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Grant) string { return v.ID })
}

func policyIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Policies(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Policy) string { return v.ID })
}

func gatewayIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Gateways(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.Gateway) string { return v.ID })
}

func adminTokenIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.AdminTokens(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.AdminToken) string { return v.ID })
}

func sealingKeyIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.SealingKeys(ctx, manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.SealingKey) string { return v.ID })
}
