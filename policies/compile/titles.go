package compile

import "github.com/open-policy-agent/opa/v1/ast"

// A place is where a rule's head is.
type place struct {
	file string
	row  int
}

// titles are those that rules have in their METADATA.
type titles map[place]string

// titlesOf returns the title of each rule that has one: its own, or else that of
// the document it is a part of.
func titlesOf(c *ast.Compiler) titles {
	t := titles{}
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			title := titleOf(c, r)
			for ; r != nil && title != ""; r = r.Else {
				if l := r.Head.Loc(); l != nil {
					t[place{l.File, l.Row}] = title
				}
			}
		}
	}
	return t
}

func titleOf(c *ast.Compiler, r *ast.Rule) string {
	for _, ref := range c.GetAnnotationSet().Chain(r) { // nearest first
		a := ref.Annotations
		if a != nil && a.Title != "" && (a.Scope == "rule" || a.Scope == "document") {
			return a.Title
		}
	}
	return ""
}
