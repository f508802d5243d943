//go:build !lean

package engine

import (
	"net/url"
	"strconv"
	"strings"
)

// begin finds the draft of a schema and pools its parts, so that references find
// them: each reference in it becomes absolute first.
func (c *schemaCompiler) begin(v Value) error {
	if v.Kind() != KindObject && v.Kind() != KindBool {
		return schemaFault("schema is invalid")
	}
	if name, ok := v.Get("$schema"); ok {
		s, ok := name.Str()
		if !ok {
			return mustBe("$schema", "string")
		}
		u, err := url.Parse(s)
		if err != nil {
			return schemaFault(err.Error())
		}
		switch u.String() {
		case "http://json-schema.org/draft-04/schema":
			c.draft = draft4
		case "http://json-schema.org/draft-06/schema":
			c.draft = draft6
		case "http://json-schema.org/draft-07/schema":
			c.draft = draft7
		}
	}
	root, err := c.absolute(v, &url.URL{}, 0)
	c.pool[""] = root
	return err
}

// absolute returns v with every "$ref" made absolute, by the "$id" it is in. What
// has an "$id" goes to the pool.
func (c *schemaCompiler) absolute(v Value, base *url.URL, depth int) (Value, error) {
	if depth > maxSchemaDepth {
		return v, &Error{Code: ErrDepth, Message: "schemas in schemas"}
	}
	if v.Kind() < KindArray {
		return v, nil
	}
	if !c.vm.charge(1 + v.Len()) {
		return v, errLimits
	}
	if v.Kind() == KindArray {
		elems := make([]Value, 0, v.Len())
		for _, e := range v.elems() {
			e, err := c.absolute(e, base, depth+1)
			if err != nil {
				return v, err
			}
			elems = append(elems, e)
		}
		return newArray(elems), nil
	}
	id, own := "", false
	if u, ok := ownID(v); ok {
		base = base.ResolveReference(u)
		id, own = base.String(), true
		if _, double := c.pool[id]; double {
			return v, schemaFault(`Reference already exists: "` + id + `"`)
		}
		c.pool[id] = v
		base.Fragment, base.RawFragment = "", ""
	}
	v, err := c.absoluteMembers(v, base, depth)
	if own {
		c.pool[id] = v
	}
	return v, err
}

// ownID returns the "id" or "$id" of a schema.
func ownID(v Value) (*url.URL, bool) {
	key := "$id"
	if _, ok := v.Get("id"); ok {
		key = "id"
	}
	id, ok := v.Get(key)
	s, isText := id.Str()
	if !ok || !isText {
		return nil, false
	}
	u, err := url.Parse(s)
	return u, err == nil
}

func (c *schemaCompiler) absoluteMembers(v Value, base *url.URL, depth int) (Value, error) {
	members := make([]Member, 0, v.Len())
	for name, e := range v.Members() {
		var err error
		s, isText := e.Str()
		switch {
		case name == "const" || name == "enum": // no schemas
		case name == "$ref" && isText:
			if u, err := url.Parse(s); err == nil {
				e = String(base.ResolveReference(u).String())
			}
		case (name == "properties" || name == "dependencies" || name == "patternProperties") && e.Kind() == KindObject:
			e, err = c.absoluteChildren(e, base, depth+1)
		case name == "properties" || name == "dependencies" || name == "patternProperties":
		default:
			e, err = c.absolute(e, base, depth+1)
		}
		if err != nil {
			return v, err
		}
		members = append(members, Member{String(name), e})
	}
	return newObject(members), nil
}

// absoluteChildren is absolute of each member: its names mean nothing themselves.
func (c *schemaCompiler) absoluteChildren(v Value, base *url.URL, depth int) (Value, error) {
	members := make([]Member, 0, v.Len())
	for name, e := range v.Members() {
		e, err := c.absolute(e, base, depth+1)
		if err != nil {
			return v, err
		}
		members = append(members, Member{String(name), e})
	}
	return newObject(members), nil
}

// identity are the keywords that name a schema, describe it, and refer to others.
func (k keywords) identity(s *schema) error {
	id := "$id"
	if _, old := k.v.Get("id"); k.draft == draft4 || k.draft == draftMixed && old {
		id = "id"
	}
	name, _, err := k.text(id)
	if err != nil {
		return err
	}
	if _, err := url.Parse(name); err != nil {
		return schemaFault(err.Error())
	}
	if v, ok := k.v.Get("definitions"); ok {
		if v.Kind() != KindObject {
			return notOfType("Array Of Schemas", "definitions")
		}
		for _, e := range v.All() {
			if !isSchema(e) {
				return notOfType("Array Of Schemas", "definitions")
			}
			if _, err := k.sub(e); err != nil { // only for its errors
				return err
			}
		}
	}
	for _, key := range []string{"title", "description"} {
		if _, _, err := k.text(key); err != nil {
			return err
		}
	}
	ref, ok, err := k.text("$ref")
	if !ok || err != nil {
		return err
	}
	return k.refer(s, ref)
}

// errReferred ends the compiling of a schema that refers to another: what else it
// says does not count.
var errReferred = schemaFault("")

func (k keywords) refer(s *schema, ref string) error {
	u, err := url.Parse(ref)
	if err != nil {
		return schemaFault(err.Error())
	}
	ref = u.String()
	if known, ok := k.refs[ref]; ok {
		s.refers = known // and the rest is looked at for its errors, as in OPA
		return nil
	}
	to := &schema{}
	k.refs[ref] = to
	v, err := k.find(u)
	if err != nil {
		return err
	}
	if !isSchema(v) {
		return mustBe("Valid Schema", "object")
	}
	if err := k.fill(to, v, k.depth); err != nil {
		return err
	}
	s.refers = to
	return errReferred
}

// find returns the part of the schema that u refers to.
func (c *schemaCompiler) find(u *url.URL) (Value, error) {
	if v, ok := c.pool[u.String()]; ok {
		return v, nil
	}
	doc := *u
	doc.Fragment, doc.RawFragment = "", ""
	v, ok := c.pool[doc.String()]
	switch {
	case ok:
		return pointTo(v, u.Fragment)
	case u.Scheme == "file" && strings.HasPrefix(u.Path, "/"), u.Scheme != "file" && u.Scheme != "" && u.Host != "":
		return v, schemaFault("remote reference loading disabled: " + doc.String())
	}
	return v, schemaFault("Reference " + u.String() + " must be canonical")
}

// pointTo returns what a JSON pointer (RFC 6901) points to in v; a text that is
// none points to all of it.
func pointTo(v Value, pointer string) (Value, error) {
	if !strings.HasPrefix(pointer, "/") {
		return v, nil
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		switch v.Kind() {
		case KindObject:
			name := strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
			e, ok := v.Get(name)
			if !ok {
				return v, schemaFault("Object has no key '" + name + "'")
			}
			v = e
		case KindArray:
			i, err := strconv.Atoi(token)
			if err != nil {
				return v, schemaFault("Invalid array index '" + token + "'")
			}
			if i < 0 || i >= v.Len() {
				return v, schemaFault("Out of bound array[0," + strconv.Itoa(v.Len()) + "] index '" + strconv.Itoa(i) + "'")
			}
			v = v.Index(i)
		default:
			return v, schemaFault("Invalid token reference '" + token + "'")
		}
	}
	return v, nil
}
