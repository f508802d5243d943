// Command keyward-sync keeps a folder and a prefix of the object store behind
// Keyward's gateway alike. It is for images of Workers: a static binary that needs
// nothing but the gateway and a consumer token.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"keyward/tools/sync/filesync"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(filesync.Main(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}
