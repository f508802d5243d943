package wire_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"keyward/manager/files/wire"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"a", "workers/researcher/notes.md", "shared/team/Übersicht 2026.md", "a/.hidden", "a/..b", "a/b..", "what?.md", "#1", "a+b&c=d", "a*", strings.Repeat("x", 255),
	} {
		if err := wire.CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for what, name := range map[string]string{
		"nothing": "", "too long": strings.Repeat("x/", 300) + "x", "a long segment": strings.Repeat("x", 256),
		"the parent": "..", "to the parent": "a/../b", "the folder": "a/./b", "absolute": "/a", "an empty segment": "a//b", "a folder": "a/",
		"NUL": "a\x00b", "a line break": "a\nb", "an escape": "a\x1b[2Jb", "a direction override": "a\u202eb", "an odd space": "a\u00a0b",
		"no UTF-8": "a\xff", "a backslash": `a\..\b`, "percent": "a%2e%2e/b", "a path parameter": "a;v=1",
		"the state of keyward-sync": "shared/.keyward-sync.json", "a folder of its own": ".keyward-sync/x",
	} {
		if err := wire.CheckName(name); !errors.Is(err, wire.ErrName) {
			t.Errorf("%s: CheckName(%q) = %v", what, name, err)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		name, prefix string
		want         bool
	}{
		{"workers/a/x", "workers/a", true},
		{"workers/a", "workers/a", true},
		{"workers/ab/x", "workers/a", false},
		{"workers", "workers/a", false},
		{"x", "", true},
	} {
		if got := wire.Within(tt.name, tt.prefix); got != tt.want {
			t.Errorf("Within(%q, %q) = %v", tt.name, tt.prefix, got)
		}
	}
}

// FuzzCheckName: a name that passes stays below the folder that it is put in, in a
// file system and in a URL, and is the same after both.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a/../../x", "a%2f..", "a\\b", "\x00", "a//b", "/a", "é/ü", "a/.keyward-sync.json", "a?b#c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if wire.CheckName(name) != nil {
			return
		}
		if got := path.Join("/root", name); got != "/root/"+name {
			t.Errorf("%q becomes %q in a folder", name, got)
		}
		u, err := url.Parse((&url.URL{Path: "/root/" + name}).EscapedPath())
		if err != nil || u.Path != "/root/"+name || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q becomes %v in a URL, %v", name, u, err)
		}
		if strings.ContainsAny(name, "\x00\r\n\\%;") || !wire.Within(name, path.Dir(name)) && path.Dir(name) != "." {
			t.Errorf("%q passed", name)
		}
	})
}
