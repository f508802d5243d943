// Command keyward is the one binary of Keyward: gateway, Manager, policy, plugins and
// demo.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyward:", err)
		os.Exit(exitCode(err))
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "keyward",
		Short:         "Security for AI agents: consumer tokens out, real keys in, every call decided",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newAdminToken(), newAudit(), newConsumer(), newCredential(), newDemo(), newEnvoy(), newEvents(), newGateway(), newGrant(), newImport(),
		newManager(), newPlugins(), newPolicy(), newRoom(), newSeal(), newSnapshot(), newStatus(), newTarget(), newToken(), newWorker(),
	)
	return root
}
