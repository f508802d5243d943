package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyward/plugins/snapshot"
	"keyward/tools/envoy"
)

// newEnvoy is the command that brings a snapshot into a plain Envoy.
func newEnvoy() *cobra.Command {
	var from, modules, out string
	c := &cobra.Command{
		Use:   "envoy",
		Short: "Write the files that bring a snapshot and both plugins into Envoy",
		Long: `Write gate.json and key-swap.json, which deploy/envoy/envoy.yaml names. A running
Envoy takes over new ones by itself.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			raw, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if _, err := snapshot.Decode(raw); err != nil {
				return fmt.Errorf("%s: %w", from, err)
			}
			dir, err := filepath.Abs(modules)
			if err != nil {
				return err
			}
			return envoy.Write(out, raw, envoy.Plugins(dir))
		},
	}
	c.Flags().StringVar(&from, "snapshot", "snapshot.json", "snapshot `file` to bring in")
	c.Flags().StringVar(&modules, "plugins", "dist", "`folder` with gate.wasm and key-swap.wasm")
	c.Flags().StringVar(&out, "out", ".", "`folder` to write to")
	return c
}
