package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyward/plugins/changes"
	"keyward/plugins/live"
	"keyward/plugins/snapshot"
	"keyward/tools/envoy"
)

// newEnvoy is the command that brings both plugins into a plain Envoy.
func newEnvoy() *cobra.Command {
	var from, modules, out, key string
	manager := live.Config{}
	c := &cobra.Command{
		Use:   "envoy",
		Short: "Write the files that bring both plugins into Envoy",
		Long: `Write gate.json and key-swap.json, which deploy/envoy/envoy.yaml names. A running
Envoy takes over new ones by itself.

The plugins follow a Manager, or have a snapshot, or both: then the snapshot
counts until the Manager was first reached.`,
		Example: `  keyward envoy --manager-key 3q2-7w...      # "gateway_key" in: keyward status -o json
  keyward envoy --snapshot snapshot.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var s envoy.Source
			var err error
			if key != "" {
				if manager.Key, err = changes.PublicKey(key); err != nil {
					return fmt.Errorf("--manager-key: %w", err)
				}
				s.Manager = &manager
			}
			if from != "" {
				if s.Snapshot, err = os.ReadFile(from); err != nil {
					return err
				}
				if _, err := snapshot.Decode(s.Snapshot); err != nil {
					return fmt.Errorf("%s: %w", from, err)
				}
			}
			if s.Manager == nil && s.Snapshot == nil {
				return errors.New("say where the plugins have from what they decide by: --manager-key, --snapshot, or both")
			}
			if err := s.Check(); err != nil {
				return err
			}
			dir, err := filepath.Abs(modules)
			if err != nil {
				return err
			}
			return envoy.Write(out, s, envoy.Plugins(dir))
		},
	}
	c.Flags().StringVar(&from, "snapshot", "", "snapshot `file` to bring in")
	c.Flags().StringVar(&key, "manager-key", "", "public `key` that the Manager's answers are signed with")
	c.Flags().StringVar(&manager.Cluster, "manager-cluster", "manager", "Envoy's `name` for the Manager's listener for gateways")
	c.Flags().StringVar(&manager.Authority, "manager-authority", "manager", "`host` of requests to it")
	c.Flags().DurationVar(&manager.MaxStale, "max-stale", live.DefaultMaxStale, "`time` without contact to the Manager after which everything is denied")
	c.Flags().StringVar(&modules, "plugins", "dist", "`folder` with gate.wasm and key-swap.wasm")
	c.Flags().StringVar(&out, "out", ".", "`folder` to write to")
	return c
}
