package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"keyward/plugins/live"
)

// A Plugin is one of Keyward's plugins and its place in a gateway's chain.
type Plugin struct {
	Name     string
	Phase    string // Higress' phase; see WasmPlugin.spec.phase
	Priority int    // within the phase; the highest runs first
	Keys     bool   // its VM is given the gateway's private keys
}

// Plugins are Keyward's plugins in the order in which a request meets them.
//
// gate runs before key-auth (310) and basic-auth (320), which it replaces, and
// behind jwt-auth (340) and its like, so that no other plugin has the last word
// on who the consumer is. key-swap runs last before the router, behind ai-proxy
// (100), so that no other plugin sees a real key.
var Plugins = []Plugin{
	{Name: "gate", Phase: "AUTHN", Priority: 325},
	{Name: "key-swap", Phase: "UNSPECIFIED_PHASE", Priority: 10, Keys: true},
}

// A Binary is the wasm module of a plugin.
type Binary []byte

// SHA256 is the module's digest in hexadecimal.
func (b Binary) SHA256() string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var buildName = regexp.MustCompile(regexp.QuoteMeta(live.BuildMark) + `((?:gate|key-swap)-[0-9a-f]{12})`)

// Build is what the plugin tells a Manager that it is; empty: nothing.
func (b Binary) Build() string {
	if m := buildName.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}

// Version names a build: a gateway never downloads the same URL twice, so every
// build has a URL of its own.
func (b Binary) Version() string { return b.SHA256()[:12] }
