package testenv

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// RenderHTML opens a file in headless Chromium and returns the document as its
// scripts have left it.
func RenderHTML(t testing.TB, path string) string {
	t.Helper()
	chromium := needProgram(t, "chromium")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// The sandbox needs privileges that a container of CI lacks; the page is a test's.
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--window-size=1200,2000", "--virtual-time-budget=20000", "--dump-dom", "file://"+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}
