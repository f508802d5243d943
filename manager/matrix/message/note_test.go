package message

import (
	"strings"
	"testing"

	"keyward/manager/matrix/message/hostile"
)

func TestNotesAreHarmlessAndBounded(t *testing.T) {
	for _, s := range hostile.Texts {
		var n Note
		for range 200 {
			n.Add("% may use %: % %", s, s, s, s)
		}
		c := n.Content()
		checkSize(t, c)
		checkHTML(t, c.FormattedBody)
		if got := text(t, c.FormattedBody); got != c.Body {
			t.Errorf("the bodies of a note differ for %.80q", s)
		}
		if lines := strings.Split(c.Body, "\n"); len(lines) > maxLines || lines[len(lines)-1] != "and more" {
			t.Errorf("a note of too much ends in %.80q after %d lines", lines[len(lines)-1], len(lines))
		}
	}
}

func TestNote(t *testing.T) {
	var n Note
	n.Add("% is %", "worker-a", "active")
	n.Add("nothing here")
	c := n.Content()
	if c.Body != "worker-a is active\nnothing here" || c.Records != nil {
		t.Errorf("note = %+v", c)
	}
}

func TestCheckpoint(t *testing.T) {
	c := OfCheckpoint(Checkpoint{Size: 12, Note: "keyward\n12\ncm9vdA==\n\n— keyward sig\n"}, noon)
	if c.Body != "🔏 12:00:00 checkpoint · the log has 12 entries · root cm9vdA==" || c.Checkpoint == nil {
		t.Errorf("checkpoint = %+v", c)
	}
	for _, s := range hostile.Texts {
		c := OfCheckpoint(Checkpoint{Note: "x\n1\n" + s + "\n\nx"}, noon)
		checkHTML(t, c.FormattedBody)
		checkSize(t, c)
	}
}
