package demo

import (
	"crypto/rand"
	"encoding/hex"

	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
)

// secrets are what a real installation keeps in different hands.
type secrets struct {
	worker  string // consumer token: the Worker's only secret
	mcpKey  string // real key of the MCP server
	llmKey  string // real key of the LLM provider
	gateway *seal.PrivateKey
}

func newSecrets() (secrets, error) {
	worker, err := token.New(rand.Reader)
	if err != nil {
		return secrets{}, err
	}
	gateway, err := seal.GenerateKey()
	if err != nil {
		return secrets{}, err
	}
	return secrets{worker: worker, mcpKey: "mcp-real-" + rand.Text(), llmKey: "sk-real-" + rand.Text(), gateway: gateway}, nil
}

// sealed closes a real key for the gateway, bound to where it may go.
func (s secrets) sealed(id, key string, to snapshot.Upstream) (snapshot.Credential, error) {
	c := snapshot.Credential{ID: id, Version: 1, Upstream: to}
	secret, err := seal.NewSecret([]byte(key))
	if err != nil {
		return c, err
	}
	closed, err := seal.Seal(s.gateway.Public(), secret, seal.For(&c))
	c.Sealed = []snapshot.Sealed{closed}
	return c, err
}

func digest(tok string) string {
	d := token.Digest(tok)
	return hex.EncodeToString(d[:])
}
