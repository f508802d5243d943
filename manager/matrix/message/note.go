package message

import "strings"

// A Note is a message of our own words with untrusted text between them, such as
// the answer to a command. The zero value has no lines.
type Note struct {
	lines []*line
	size  int // bytes, as sent
	full  bool
}

// Add adds a line: words, where each "%" stands for the next of texts, which are
// untrusted. What is too much for one message ends in a line that says so.
func (n *Note) Add(words string, texts ...string) {
	if n.full {
		return
	}
	l := noteLine(words, texts)
	size := encoded(l.plain.String()) + encoded(l.html.String())
	if len(n.lines) == maxLines-1 || n.size+size > maxBytes {
		n.full = true
		l = noteLine("and more", nil)
	}
	n.size += size
	n.lines = append(n.lines, l)
}

func noteLine(words string, texts []string) *line {
	l := new(line)
	for i, part := range strings.Split(words, "%") {
		if i > 0 {
			text := "-"
			if len(texts) > 0 {
				text, texts = texts[0], texts[1:]
			}
			l.foreign("", text, maxDetail)
		}
		l.own(part)
	}
	return l
}

// Content returns the message.
func (n *Note) Content() Content { return contentOf(n.lines) }
