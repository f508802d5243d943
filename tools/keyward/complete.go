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

// completeIDs completes the first n arguments of a command with the ids of a
// kind. It asks for no token, and offers nothing when there is none.
func completeIDs(n int, ids lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, ids)
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
