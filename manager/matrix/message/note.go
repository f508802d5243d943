package message

import "strings"

// A Note is a message of our own words with untrusted text between them, such as
// the answer to a command. The zero value has no lines.
type Note struct{ lines []*line }

// Add adds a line: words, where each "%" stands for the next of texts, which are
// untrusted. A note that is full stays as it is, but for its last line.
func (n *Note) Add(words string, texts ...string) {
	switch {
	case len(n.lines) == maxLines:
		return
	case len(n.lines) == maxLines-1:
		words, texts = "and more", nil
	}
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
	n.lines = append(n.lines, l)
}

// Content returns the message.
func (n *Note) Content() Content { return contentOf(n.lines) }
