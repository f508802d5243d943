package files

import (
	"testing"
	"time"

	"keyward/manager"
)

func grant(methods []string, paths ...string) manager.Grant {
	return manager.Grant{GrantSpec: manager.GrantSpec{Methods: methods, Paths: paths}}
}

func TestRights(t *testing.T) {
	now := time.Unix(1e9, 0)
	read, write, both := []string{"GET"}, []string{"PUT"}, []string{"GET", "PUT"}
	ended := grant(both, "/keyward/shared/old")
	ended.Expires = now
	r := rightsOf([]manager.Grant{
		grant(both, "/keyward/workers/a/"), grant(read, "/keyward/shared", "/other/bucket", "/keywardly", "keyward/x"), grant(write, "/keyward/shared/in"),
		grant([]string{"HEAD", "DELETE"}, "/keyward/workers/b"), grant(both, "/keyward/../x", "/keyward/x/*", "/keyward/${y}", "/keyward//z"), ended,
	}, "keyward", now)
	for _, tt := range []struct {
		name        string
		read, write bool
	}{
		{"workers/a/x", true, true},
		{"workers/a/x/y", true, true},
		{"workers/a", false, false}, // is the prefix, not below it
		{"workers/ab/x", false, false},
		{"workers/b/x", false, false},
		{"shared/x", true, false},
		{"shared/in/x", true, true},
		{"shared/old/x", true, false},
		{"x/y", false, false},
		{"x", false, false},
		{"bucket/x", false, false},
		{"ly", false, false},
	} {
		_, gotRead := r.may(tt.name, false)
		_, gotWrite := r.may(tt.name, true)
		if gotRead != tt.read || gotWrite != tt.write {
			t.Errorf("%s: read %v, write %v", tt.name, gotRead, gotWrite)
		}
	}
	if p, _ := r.may("shared/in/x", true); p != "shared/in" {
		t.Errorf("signed below %q", p)
	}
	for prefix, want := range map[string]bool{"workers/a": true, "workers/a/b": true, "workers": false, "shared": true, "shared/in": true, "": false, "workers/b": false} {
		if r.mayList(prefix) != want {
			t.Errorf("list of %q: %v", prefix, !want)
		}
	}
	for _, all := range []manager.Grant{grant(nil), grant([]string{"*"}, "*"), grant(nil, "/"), grant(nil, "/keyward"), grant(nil, "/keyward/")} {
		r := rightsOf([]manager.Grant{all}, "keyward", now)
		if p, ok := r.may("any/x", true); !ok || p != "" || !r.mayList("") {
			t.Errorf("%+v does not open all", all.GrantSpec)
		}
	}
	if r := rightsOf(nil, "keyward", now); r.mayList("") {
		t.Error("without a grant something is open")
	}
}
