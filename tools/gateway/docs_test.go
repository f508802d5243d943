package gateway

import (
	"os"
	"regexp"
	"testing"
)

// TestDocumentedConfiguration reads the example of docs/gateway.md.
func TestDocumentedConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no example found")
	}
	if _, err := parse("docs/gateway.md", block[1]); err != nil {
		t.Error(err)
	}
}
