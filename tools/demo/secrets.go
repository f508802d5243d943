package demo

import (
	"crypto/rand"

	"keyward/plugins/seal"
)

// secrets are what a real installation keeps in different hands.
type secrets struct {
	mcpKey  string           // real key of the MCP server
	llmKey  string           // real key of the LLM provider
	gateway *seal.PrivateKey // of the gateway's key-swap
	admin   string           // admin token, from the Manager's first start
	worker  string           // consumer token: the Worker's only secret
}

func newSecrets() (secrets, error) {
	gateway, err := seal.GenerateKey()
	if err != nil {
		return secrets{}, err
	}
	return secrets{mcpKey: "mcp-real-" + rand.Text(), llmKey: "sk-real-" + rand.Text(), gateway: gateway}, nil
}
