package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyward/tools/demo"
)

func newDemo() *cobra.Command {
	var (
		opt  demo.Options
		stay bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on this machine, or stay up to be tried by hand",
		Long: `Start an MCP server and an LLM provider that accept their real key only, put
the gateway with both plugins in front of them, and the Manager beside it. Then be
the administrator, and a Worker that holds one consumer token. Each line says what
happens; the command fails when a step does not hold.

Rooms are shown where a Synapse can be had, and a Worker in a container where
dockerd, nsenter, ip and iptables are there to be run as root: the engine is the
demo's own, and pulls nothing. What is left out is said.

With --stay only the beginning is played: the stage stays up, with commands to try.`,
		Example: `  make plugins && keyward demo
  keyward demo --stay --address 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			opt.Engine, opt.Log = !stay, stay
			fmt.Fprintln(out, "Starting; the first start compiles the plugins and takes some seconds.")
			stage, err := demo.Up(cmd.Context(), opt)
			if err != nil {
				return err
			}
			if stay {
				if err = demo.Prepare(cmd.Context(), stage, out); err == nil {
					demo.PrintCurls(out, stage)
					err = stage.Wait()
				}
			} else {
				err = demo.Tell(cmd.Context(), stage, out)
			}
			if closed := stage.Close(); err == nil {
				err = closed
			}
			if err == nil && !stay {
				fmt.Fprintln(out, "Every step held.")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&opt.Plugins, "plugins", "dist", "folder with gate.wasm and key-swap.wasm")
	cmd.Flags().StringVar(&opt.Bin, "bin", "bin", "folder with the programs that run in containers")
	cmd.Flags().StringVar(&opt.Address, "address", "127.0.0.1:0", "address of the gateway; port 0 is any free one")
	cmd.Flags().StringVar(&opt.Manager, "manager", "127.0.0.1:0", "address of the Manager's API; port 0 is any free one")
	cmd.Flags().BoolVar(&stay, "stay", false, "stay up until interrupted")
	return cmd
}
