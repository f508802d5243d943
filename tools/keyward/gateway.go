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
		Short: "Serve with the embedded gateway: the real plugins, on one machine",
		Long: `Serve with the embedded gateway: the real plugins, on one machine.

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
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "gateway.yaml", "configuration file")
	cmd.AddCommand(&cobra.Command{
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
	})
	return cmd
}
