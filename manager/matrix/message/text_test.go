package message

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"keyward/manager/matrix/message/hostile"
)

// linked are the forms that clients make links, mentions and pills of, more
// widely than any of them does.
var linked = []*regexp.Regexp{
	regexp.MustCompile(`(?i)[\p{L}\p{N}+.\-]+:[^\s"…]`),            // scheme:…, host:port, @user:server
	regexp.MustCompile(`[\p{L}\p{N}\-_]\.[\p{L}\-_%]`),             // host.tld
	regexp.MustCompile(`\d+\.\d+\.\d+\.\d+`),                       // IPv4
	regexp.MustCompile(`@[\p{L}\p{N}]`),                            // @room, @user, a@b
	regexp.MustCompile(`[#!+$][^\s"\[\]]*:[\p{L}\p{N}]`),           // #room:server
	regexp.MustCompile(`://|matrix\.to|\x1b|[\x00-\x1f\x7f-\x9f]`), // whatever stands around
}

// checkText fails t when got holds anything that [Text] promises it does not.
func checkText(t *testing.T, in, got string) {
	t.Helper()
	if !utf8.ValidString(got) {
		t.Errorf("Text(%.80q) is not UTF-8: %q", in, got)
	}
	for _, re := range linked {
		if m := re.FindString(got); m != "" {
			t.Errorf("Text(%.80q) = %q: %q may become a link, a mention or a control", in, got, m)
		}
	}
	marks := 0
	for _, r := range strings.TrimSuffix(got, "…") {
		switch {
		case r == '\n' || !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r):
			t.Errorf("Text(%.80q) = %q holds %U", in, got, r)
		case unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point, unicode.Hebrew, unicode.Arabic):
			t.Errorf("Text(%.80q) = %q holds %U, which hides or reorders", in, got, r)
		case strings.ContainsRune(signs, r):
			t.Errorf("Text(%.80q) = %q holds %q, which is a sign of ours", in, got, r)
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if marks > maxMarks {
			t.Errorf("Text(%.80q) = %q piles up marks", in, got)
		}
	}
}

func TestHostileTextStaysInItsPlace(t *testing.T) {
	if len(hostile.Texts) < 60 {
		t.Fatalf("only %d hostile strings", len(hostile.Texts))
	}
	for _, s := range hostile.Texts {
		for _, limit := range []int{1, 7, maxName, maxArguments} {
			got := Text(s, limit)
			checkText(t, s, got)
			if n := utf8.RuneCountInString(got); n > limit+1 {
				t.Errorf("Text(%.80q, %d) has %d characters", s, limit, n)
			}
		}
	}
}

func TestText(t *testing.T) {
	tests := []struct {
		name, in, want string
		limit          int
	}{
		{name: "an ordinary name stays", in: "create_issue", want: "create_issue"},
		{name: "JSON stays", in: `{"title":"a b","n":1.5,"ok":true}`, want: `{"title":"a b","n":1.5,"ok":true}`},
		{name: "other scripts stay", in: "créer 課題 ошибка", want: "créer 課題 ошибка"},
		{name: "a sentence stays", in: "Not today. Ask: why? 3.14", want: "Not today. Ask: why? 3.14"},
		{name: "a URL is broken up", in: "https://evil.example/x", want: "https[:]//evil[.]example/x"},
		{name: "a mention of the room is broken up", in: "@room", want: "[@]room"},
		{name: "a user is broken up", in: "@a:b.c", want: "[@]a[:]b[.]c"},
		{name: "an address is broken up", in: "10.0.0.1", want: "10.0[.]0.1"},
		{name: "a line break is shown", in: "a\nb", want: `a\u{a}b`},
		{name: "an override is shown", in: "a\u202eb", want: `a\u{202e}b`},
		{name: "what is too long is cut", in: "abcdef", limit: 4, want: "abc…"},
		{name: "what just fits is whole", in: "abcd", limit: 4, want: "abcd"},
		{name: "a bracket is never cut in two", in: "ab@c", limit: 4, want: "ab…"},
		{name: "nothing is nothing", in: "", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := tt.limit
			if limit == 0 {
				limit = maxArguments
			}
			if got := Text(tt.in, limit); got != tt.want {
				t.Errorf("Text(%q, %d) = %q, want %q", tt.in, limit, got, tt.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile.Texts {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + int(uint(limit)%300)
		got := Text(s, limit)
		checkText(t, s, got)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("Text(%.80q, %d) has %d characters", s, limit, n)
		}
	})
}
