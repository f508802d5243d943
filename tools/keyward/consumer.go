package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
)

var consumerView = view[manager.Consumer]{"ID KIND STATE LABELS CREATED", func(c manager.Consumer) []string {
	return []string{c.ID, c.Kind, string(c.State), mapCell(c.Labels), timeCell(c.Created)}
}}

// newConsumer is the command that handles consumers.
func newConsumer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumer",
		Short: "Create, list, suspend and revoke the identities that a gateway knows",
	}
	cmd.AddCommand(
		newConsumerCreate(), newConsumerList(), newConsumerGet(), newConsumerLabel(),
		consumerState("suspend", "Suspend a consumer until it is resumed", (*client.Client).SuspendConsumer),
		consumerState("resume", "Resume a suspended consumer", (*client.Client).ResumeConsumer),
		consumerState("revoke", "Revoke a consumer, for good", (*client.Client).RevokeConsumer),
		newConsumerDelete(),
	)
	return cmd
}

func newConsumerCreate() *cobra.Command {
	var kind string
	var labels []string
	cmd := changeCommand(&cobra.Command{
		Use:     "create ID",
		Short:   "Create a consumer",
		Example: `  keyward consumer create worker-researcher --label team=search --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		spec := manager.ConsumerSpec{ID: s.args[0], Kind: kind, ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{}}}
		if err := relabel(spec.Labels, labels); err != nil {
			return err
		}
		c, change, err := s.api.CreateConsumer(s.ctx(), client.Request{}, spec)
		if err != nil {
			return err
		}
		if err := printOne(s, consumerView, c); err != nil {
			return err
		}
		return s.changed(change)
	})
	cmd.Flags().StringVar(&kind, "kind", "worker", "worker, human or service")
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "`NAME=VALUE` that a policy sees (may be repeated)")
	return cmd
}

func newConsumerList() *cobra.Command {
	var state string
	cmd := listCommand(&cobra.Command{
		Use:   "list",
		Short: "List consumers",
		Example: `  keyward consumer list --state suspended --token-file admin.token
  keyward consumer list -o name --token-file admin.token`,
		Args: cobra.NoArgs,
	}, func(s *session) error {
		list, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.Consumer], error) {
			return s.api.Consumers(ctx, snapshot.State(state), p)
		})
		if err != nil {
			return err
		}
		return printList(s, consumerView, list)
	})
	cmd.Flags().StringVar(&state, "state", "", "active, suspended or revoked; empty: all")
	return cmd
}

func newConsumerGet() *cobra.Command {
	return apiCommand(&cobra.Command{
		Use:               "get ID",
		Short:             "Show a consumer",
		Example:           `  keyward consumer get worker-researcher -o yaml --token-file admin.token`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeIDs(1, consumerIDs),
	}, func(s *session) error {
		c, err := s.api.Consumer(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		return printOne(s, consumerView, c)
	})
}

func newConsumerLabel() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:               "label ID NAME=VALUE... NAME-...",
		Short:             "Set labels, and take those away that end in -",
		Example:           `  keyward consumer label worker-researcher team=search trial- --token-file admin.token`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeIDs(1, consumerIDs),
	}, func(s *session) error {
		c, err := s.api.Consumer(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		labels := map[string]string{}
		for k, v := range c.Labels {
			labels[k] = v
		}
		if err := relabel(labels, s.args[1:]); err != nil {
			return err
		}
		// Based on the version that was read: two who label at once lose nothing.
		c, change, err := s.api.UpdateConsumer(s.ctx(), client.Request{Version: c.Version}, c.ID, manager.ConsumerUpdate{Labels: labels})
		if err != nil {
			return err
		}
		if err := printOne(s, consumerView, c); err != nil {
			return err
		}
		return s.changed(change)
	})
}

// relabel applies NAME=VALUE and NAME- to labels.
func relabel(labels map[string]string, args []string) error {
	for _, a := range args {
		name, value, set := strings.Cut(a, "=")
		gone, unset := strings.CutSuffix(a, "-")
		switch {
		case set && name != "":
			labels[name] = value
		case !set && unset && gone != "":
			delete(labels, gone)
		default:
			return fmt.Errorf("label %q is neither NAME=VALUE nor NAME-", a)
		}
	}
	return nil
}

// A stateCall changes the state of a consumer.
type stateCall func(*client.Client, context.Context, client.Request, string) (manager.Consumer, client.Change, error)

func consumerState(verb, short string, call stateCall) *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:               verb + " ID",
		Short:             short,
		Example:           "  keyward consumer " + verb + " worker-researcher --wait --token-file admin.token",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeIDs(1, consumerIDs),
	}, func(s *session) error {
		c, change, err := call(s.api, s.ctx(), client.Request{}, s.args[0])
		if err != nil {
			return err
		}
		if err := printOne(s, consumerView, c); err != nil {
			return err
		}
		return s.changed(change)
	})
}

func newConsumerDelete() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:               "delete ID",
		Short:             "Delete a consumer with its tokens and grants",
		Example:           `  keyward consumer delete worker-researcher --token-file admin.token`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeIDs(1, consumerIDs),
	}, func(s *session) error {
		change, err := s.api.DeleteConsumer(s.ctx(), client.Request{}, s.args[0])
		if err != nil {
			return err
		}
		return s.changed(change)
	})
}
