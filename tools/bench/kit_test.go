package main

import (
	"strings"
	"testing"

	"keyward/plugins/snapshot"
)

func TestKitIsAValidConfiguration(t *testing.T) {
	t.Chdir("../..")
	k, err := newKit()
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.DecodeConfig([]byte(k.config), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.NewView(s); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config": k.config, "verdict": k.verdict, "topdown": k.topdown} {
		if strings.Contains(text, k.key) || strings.Contains(text, k.token) {
			t.Errorf("%s holds a secret", name)
		}
	}
}
