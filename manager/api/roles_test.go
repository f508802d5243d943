package api_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEveryRouteIsClosedBelowItsRole holds what the OpenAPI document says of every
// operation to the list in testdata, which is there to be read, and then the API
// to it: with no token, and with each role.
func TestEveryRouteIsClosedBelowItsRole(t *testing.T) {
	s := newServer(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Role string `json:"x-keyward-role"`
		}
	}
	if err := json.Unmarshal([]byte(s.must(t, 200, "", "GET /openapi.json", "").text), &doc); err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, operations := range doc.Paths {
		for method, op := range operations {
			got = append(got, op.Role+" "+strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(got)
	want, err := os.ReadFile("testdata/roles.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Fatalf("testdata/roles.txt and the document differ (-file +document):\n%s", diff)
	}

	ranks := []struct{ role, token string }{{"", ""}, {"auditor", s.auditor}, {"operator", s.operator}, {"admin", s.admin}}
	parameter := regexp.MustCompile(`\{\w+\}`)
	for _, line := range got {
		role, route, _ := strings.Cut(line, " ")
		need := slices.IndexFunc(ranks, func(r struct{ role, token string }) bool { return r.role == role })
		if need < 1 {
			t.Errorf("%s: role %q", route, role)
			continue
		}
		for i, r := range ranks {
			s.advance(time.Minute) // what has no token is counted
			a := s.do(t, r.token, parameter.ReplaceAllString(route, "none"), "")
			switch {
			case i == 0 && a.status != 401, i > 0 && i < need && a.status != 403:
				t.Errorf("%s as %q: status %d, want a refusal", route, r.role, a.status)
			case i >= need && (a.status == 401 || a.status == 403 || a.status >= 500 && a.status != 501):
				t.Errorf("%s as %q: status %d: %s", route, r.role, a.status, a.text)
			}
		}
	}
}
