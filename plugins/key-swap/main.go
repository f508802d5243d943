// Command key-swap is the plugin that puts real keys into allowed requests; see
// package swap for what it does.
package main

import (
	"keyward/plugins/filter"
	"keyward/plugins/internal/host"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/refusal"
	"keyward/policies"
)

func init() {
	host.Run(swap.New, func() filter.Reply { return refusal.New(refusal.Problem, policies.Internal, "") })
}

func main() {} // a host calls init alone
