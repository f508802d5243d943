package main

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/snapshot"
)

var consumers = noun[manager.Consumer]{
	words: "consumer", a: "a consumer", example: "worker-researcher", ids: consumerIDs,
	view: view[manager.Consumer]{"ID KIND STATE LABELS CREATED", func(c manager.Consumer) []string {
		return []string{c.ID, c.Kind, string(c.State), mapCell(c.Labels), timeCell(c.Created)}
	}},
}

// newConsumer is the command that handles consumers.
func newConsumer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumer",
		Short: "Create, list, suspend and revoke the identities that a gateway knows",
	}
	cmd.AddCommand(
		newConsumerCreate(), newConsumerList(), consumers.get((*client.Client).Consumer), newConsumerLabel(),
		consumers.verb("suspend", "Suspend a consumer until it is resumed", (*client.Client).SuspendConsumer),
		consumers.verb("resume", "Resume a suspended consumer", (*client.Client).ResumeConsumer),
		consumers.verb("revoke", "Revoke a consumer, for good", (*client.Client).RevokeConsumer),
		consumers.end("delete", "Delete a consumer with its tokens and grants", (*client.Client).DeleteConsumer),
	)
	return cmd
}

func newConsumerCreate() *cobra.Command {
	var kind string
	var labels []string
	cmd := changeCommand(&cobra.Command{
		Use:     "create ID",
		Short:   "Create a consumer",
		Example: consumers.usage("create", " --label team=search"),
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		spec := manager.ConsumerSpec{ID: s.args[0], Kind: kind, ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{}}}
		if err := relabel(spec.Labels, labels); err != nil {
			return err
		}
		return show(s, consumers.view)(s.api.CreateConsumer(s.ctx(), client.Request{}, spec))
	})
	cmd.Flags().StringVar(&kind, "kind", "worker", "worker, human or service")
	must(cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"worker", "human", "service"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "`NAME=VALUE` that a policy sees (may be repeated)")
	return cmd
}

func newConsumerList() *cobra.Command {
	var state string
	cmd := consumers.list("List consumers", `  keyward consumer list --state suspended --token-file admin.token
  keyward consumer list -o name --token-file admin.token`,
		func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Consumer], error) {
			return s.api.Consumers(ctx, snapshot.State(state), p)
		})
	cmd.Flags().StringVar(&state, "state", "", "active, suspended or revoked; empty: all")
	must(cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"active", "suspended", "revoked"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func newConsumerLabel() *cobra.Command {
	return changeCommand(&cobra.Command{
		Use:               "label ID NAME=VALUE... NAME-...",
		Short:             "Set labels, and take those away that end in -",
		Example:           consumers.usage("label", " team=search trial-"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeEach(consumerIDs),
	}, func(s *session) error {
		c, err := s.api.Consumer(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		labels := maps.Clone(c.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		if err := relabel(labels, s.args[1:]); err != nil {
			return err
		}
		// Based on the version that was read: two who label at once lose nothing.
		return show(s, consumers.view)(s.api.UpdateConsumer(s.ctx(), client.Request{Version: c.Version}, c.ID, manager.ConsumerUpdate{Labels: labels}))
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
