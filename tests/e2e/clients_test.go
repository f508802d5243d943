package e2e_test

import (
	"os"
	"testing"
)

// TestClients runs every client through one gateway of each kind.
func TestClients(t *testing.T) {
	if os.Getenv("KEYWARD_E2E") == "0" {
		t.Skip("LEFT OUT: real clients and servers; `make e2e` runs them")
	}
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
