package api_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"keyward/tests/testenv"
)

const schemathesis = "schemathesis==4.32.5"

// longRun set to 1 makes schemathesis try more, which takes minutes: the borders
// of every schema, sequences of requests, and 50 examples of each operation.
const longRun = "KEYWARD_SCHEMATHESIS_LONG"

// TestSchemathesis lets schemathesis make requests from the API's own document,
// valid and invalid ones. No answer may be a 5xx, one that the document doesn't
// have, or one that differs from its schema.
func TestSchemathesis(t *testing.T) {
	python := testenv.NeedPython(t, schemathesis)
	s := newServer(t)
	s.world(t)
	s.step = 3 * time.Second // forgives the wrong tokens that are tried
	phases, examples := "fuzzing", "8"
	if os.Getenv(longRun) == "1" {
		phases, examples = "coverage,fuzzing,stateful", "50"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "st"), "run", s.URL+"/openapi.json",
		"--checks", "all",
		// What a schema can't say is refused all the same: that two matches differ,
		// that a name is there, that a time is to come.
		"--exclude-checks", "positive_data_acceptance",
		"--header", "Authorization: Bearer "+s.admin,
		"--phases", phases, "--max-examples", examples, "--seed", "1", "--continue-on-failure",
		"--suppress-health-check", "all", "--warnings", "off", "--no-color")
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
