package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGatewayValidate(t *testing.T) {
	const good = "listeners: [{address: '127.0.0.1:0'}]\n"
	tests := []struct{ name, text, want string }{
		{"a good configuration", good, "ok"},
		{"an unknown name", good + "rutes: []\n", "gateway.yaml:2: field rutes not found"},
		{"a plugin that is not there", good + "plugins: [{name: gate, file: gate.wasm}]\n", `plugin "gate": open `},
		{"a certificate that is not there", "listeners: [{address: ':0', tls: {cert: c, key: k}}]\n", `listener ":0": open `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			root := newRoot()
			root.SetArgs([]string{"gateway", "validate", "--config", file})
			root.SetOut(&out)
			got := ""
			if err := root.Execute(); err != nil {
				got = err.Error()
			}
			if got += out.String(); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
