package channel

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"

	"keyward/plugins/snapshot"
)

// sessionKey derives what gateways bind MCP sessions with from the key that
// answers are signed with: it is secret, the same at every Manager of a store and
// after a restart, and so sessions last as long. In the store there is nothing of
// it. Gateways get it over the channel, as they get everything.
func sessionKey(signing ed25519.PrivateKey) []byte {
	h := hmac.New(sha256.New, signing.Seed())
	h.Write([]byte("keyward mcp sessions 1"))
	return h.Sum(nil)[:snapshot.SessionKeyBytes]
}
