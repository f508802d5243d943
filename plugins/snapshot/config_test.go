package snapshot_test

import (
	"testing"

	"keyward/plugins/snapshot"
)

func TestFromConfig(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"the one member", ` {"snapshot": {"a":1}} `, `{"a":1}`},
		{"no object", `[]`, ""},
		{"empty", ``, ""},
		{"another member", `{"snap":{}}`, ""},
		{"a further member", `{"snapshot":{},"x":1}`, ""},
		{"the member twice", `{"snapshot":{},"snapshot":{}}`, ""},
		{"a twin inside", `{"snapshot":{"a":1,"a":2}}`, ""},
		{"trailing data", `{"snapshot":{}} {}`, ""},
		{"cut short", `{"snapshot":{`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := snapshot.FromConfig([]byte(tt.in))
			if (err == nil) != (tt.want != "") || string(got) != tt.want {
				t.Errorf("FromConfig = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
