package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"keyward/tools/gateway"
)

// newGateway is the command that serves with the embedded gateway.
func newGateway() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve with the embedded gateway, and handle the gateways that the Manager knows",
		Long: `Serve with the embedded gateway: the real plugins, on one machine. The commands
below also handle gateways of every kind, as the Manager knows them.

It is for trying out and for tests; production is Higress or Envoy. The log goes
to standard error as JSON, one line per request. It stops on SIGTERM or SIGINT,
after open requests have ended or the drain timeout is over.`,
		Example: "  keyward gateway --config gateway.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := gateway.Load(file)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			g, err := gateway.New(cmd.Context(), c, log)
			if err != nil {
				return err
			}
			return g.Run(cmd.Context())
		},
	}
	configFlag := func(c *cobra.Command) {
		c.Flags().StringVarP(&file, "config", "c", "gateway.yaml", "configuration `file`")
	}
	configFlag(cmd)
	validate := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration and all files that it names, without serving",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := gateway.Load(file)
			if err != nil {
				return err
			}
			if err := gateway.Validate(c); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", file)
			return nil
		},
	}
	configFlag(validate)
	cmd.AddCommand(validate, newKeygen())
	cmd.AddCommand(knownGateways()...)
	return cmd
}
