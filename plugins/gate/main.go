// Command gate is the proxy-wasm plugin that decides every request; see package
// admission.
package main

import (
	"keyward/plugins/gate/admission"
	"keyward/plugins/internal/host"
	_ "keyward/plugins/internal/host/body" // a request is held until its body was read
)

func init() { host.Run(admission.New, admission.Refuse) }

// main is never called: a host runs init only.
func main() {}
