package e2e_test

import (
	"testing"

	"keyward/tests/testenv"
)

// TestClients runs every client through one gateway of each kind.
func TestClients(t *testing.T) {
	testenv.Heavy(t, "real clients and servers")
	w := newWorld(t)
	addMCP(t, w)
	addLLM(t, w)
	addGit(t, w)
	eachGateway(t, w, func(t *testing.T, g *gateway) {
		t.Run("mcp", func(t *testing.T) { testMCP(t, w, g) })
		t.Run("openai", func(t *testing.T) { testOpenAI(t, w, g) })
		t.Run("git", func(t *testing.T) { testGit(t, w, g) })
	})
}
