package gateway

import (
	"strings"
	"testing"
)

func TestLogPathHoldsNoToken(t *testing.T) {
	for raw, want := range map[string]string{
		"/mcp/tools?key=secret":        "/mcp/tools",
		"/a%20b":                       "/a%20b",
		"/x/kwt_abc":                   "",
		"/x/%6bwt_abc":                 "",
		"/x/%256bwt_abc":               "",
		"/x/%zz":                       "",
		"/" + strings.Repeat("a", 999): "/" + strings.Repeat("a", maxLogPath-1),
	} {
		if got := logPath(raw); got != want {
			t.Errorf("logPath(%.20q) = %.20q, want %.20q", raw, got, want)
		}
	}
}
