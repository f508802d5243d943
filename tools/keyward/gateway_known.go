package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var gateways = noun[manager.Gateway]{
	words: "gateway", a: "a gateway", example: "edge-1", ids: gatewayIDs,
	view: view[manager.Gateway]{"ID CONNECTION CONFIRMED BEHIND LAST-SEEN PLUGINS", func(g manager.Gateway) []string {
		return []string{g.ID, g.Connection, strconv.FormatUint(g.Confirmed, 10), strconv.FormatUint(g.Behind, 10), timeCell(g.LastSeen), strings.Join(g.Builds, " ")}
	}},
}

// knownGateways are the commands for gateways as the Manager knows them.
func knownGateways() []*cobra.Command {
	return []*cobra.Command{
		gatewaySecret("register ID", "Make a gateway known, and show its token this once", "register",
			func(s *session) (manager.Issued[manager.Gateway], client.Change, error) {
				return s.api.CreateGateway(s.ctx(), client.Request{}, manager.GatewaySpec{ID: s.args[0]})
			}, nil),
		gateways.list("List gateways, and what they have in force", "  keyward gateway list --token-file admin.token",
			func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Gateway], error) {
				return s.api.Gateways(ctx, p)
			}),
		gateways.get((*client.Client).Gateway),
		gatewaySecret("rotate ID", "Issue a gateway a new token, and show it this once; the old one ends at once", "rotate",
			func(s *session) (manager.Issued[manager.Gateway], client.Change, error) {
				return s.api.RotateGateway(s.ctx(), client.Request{}, s.args[0])
			}, gatewayIDs),
		gateways.end("delete", "End a gateway's access to the Manager", (*client.Client).DeleteGateway),
		newGatewayKey(),
	}
}

// gatewaySecret is a command that issues a gateway's token.
func gatewaySecret(use, short, verb string, call func(*session) (manager.Issued[manager.Gateway], client.Change, error), ids lister) *cobra.Command {
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		Example: gateways.usage(verb, " --out gateway.token"),
		Args:    cobra.ExactArgs(1),
	}
	if ids != nil {
		cmd.ValidArgsFunction = completeEach(ids)
	}
	return outFlag(changeCommand(cmd, func(s *session) error {
		return issue(s, gateways.view, func() (manager.Issued[manager.Gateway], client.Change, error) { return call(s) })
	}))
}
