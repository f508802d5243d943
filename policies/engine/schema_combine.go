//go:build !lean

package engine

import "strconv"

// best keeps the first of the results that fit best.
func best(old *schemaResult, r schemaResult) *schemaResult {
	if old == nil || r.score > old.score {
		return &r
	}
	return old
}

// combined checks what combines schemas.
func (c *schemaCheck) combined(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	c.alternatives(s, v, at, r, depth)
	if len(s.allOf) > 0 {
		failed := false
		for _, one := range s.allOf {
			o := c.apart(one, v, at, depth)
			failed = failed || !o.valid()
			r.merge(o)
		}
		if failed {
			c.fault(r, at, "number_all_of", "Must validate all the schemas (allOf)")
		}
	}
	if s.not != nil {
		if o := c.apart(s.not, v, at, depth); o.valid() {
			c.fault(r, at, "number_not", "Must not validate the schema (not)")
		}
	}
	if v.Kind() == KindObject {
		c.dependencies(s, v, at, r, depth)
	}
	if s.when != nil {
		c.conditions(s, v, at, r, depth)
	}
	r.score++
}

func (c *schemaCheck) alternatives(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	if len(s.anyOf) > 0 {
		var nearest *schemaResult
		found := false
		for _, one := range s.anyOf {
			o := c.apart(one, v, at, depth)
			if found = o.valid(); found {
				break
			}
			nearest = best(nearest, o)
		}
		if !found {
			c.fault(r, at, "number_any_of", "Must validate at least one schema (anyOf)")
			r.merge(*nearest)
		}
	}
	if len(s.oneOf) > 0 {
		var nearest *schemaResult
		n := 0
		for _, one := range s.oneOf {
			o := c.apart(one, v, at, depth)
			switch {
			case o.valid():
				n++
			case n == 0:
				nearest = best(nearest, o)
			}
		}
		if n != 1 {
			c.fault(r, at, "number_one_of", "Must validate one and only one schema (oneOf)")
		}
		if n == 0 {
			r.merge(*nearest)
		}
	}
}

func (c *schemaCheck) dependencies(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	for _, d := range s.dependencies {
		if _, ok := v.Get(d.name); !ok {
			continue
		}
		if d.schema != nil {
			c.check(d.schema, v, at, r, depth)
		}
		for _, need := range d.needs {
			if _, ok := v.Get(need); !ok {
				c.fault(r, at, "missing_dependency", "Has a dependency on "+need)
			}
		}
	}
}

func (c *schemaCheck) conditions(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	holds := c.apart(s.when, v, at, depth)
	then, kind, text := s.then, "condition_then", `Must validate "then" as "if" was valid`
	if !holds.valid() {
		then, kind, text = s.orElse, "condition_else", `Must validate "else" as "if" was not valid`
	}
	if then == nil {
		return
	}
	if o := c.apart(then, v, at, depth); !o.valid() {
		c.fault(r, at, kind, text)
		r.merge(o)
	}
}

func (c *schemaCheck) array(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	elems := v.elems()
	item := func(s *schema, i int) schemaResult {
		return c.apart(s, elems[i], &trail{strconv.Itoa(i), at}, depth)
	}
	for i := range elems {
		switch {
		case s.each != nil:
			r.merge(item(s.each, i))
		case i < len(s.list):
			r.merge(item(s.list[i], i))
		case len(s.list) > 0 && s.otherItems.schema != nil:
			r.merge(item(s.otherItems.schema, i))
		}
	}
	if len(s.list) > 0 && len(elems) > len(s.list) && s.otherItems.none {
		c.fault(r, at, "array_no_additional_items", "No additional items allowed on array")
	}
	if s.items.least > len(elems) {
		c.fault(r, at, "array_min_items", "Array must have at least "+strconv.Itoa(s.items.least)+" items")
	}
	if s.items.most >= 0 && s.items.most < len(elems) {
		c.fault(r, at, "array_max_items", "Array must have at most "+strconv.Itoa(s.items.most)+" items")
	}
	if s.unique {
		c.doubles(elems, at, r)
	}
	if s.contains != nil {
		c.contains(s.contains, elems, at, r, depth)
	}
	r.score++
}

func (c *schemaCheck) doubles(elems []Value, at *trail, r *schemaResult) {
	seen := make(map[string]int, len(elems))
	for j, e := range elems {
		text, err := c.vm.canonical(e)
		if err != nil {
			c.err = faulty("schema", err)
			return
		}
		if i, ok := seen[text]; ok {
			c.fault(r, at, "unique", "array items["+strconv.Itoa(i)+","+strconv.Itoa(j)+"] must be unique")
		}
		seen[text] = j
	}
}

func (c *schemaCheck) contains(s *schema, elems []Value, at *trail, r *schemaResult, depth int) {
	var nearest *schemaResult
	for i, e := range elems {
		o := c.apart(s, e, &trail{strconv.Itoa(i), at}, depth)
		if o.valid() {
			return
		}
		nearest = best(nearest, o)
	}
	c.fault(r, at, "contains", "At least one of the items must match")
	if nearest != nil {
		r.merge(*nearest)
	}
}

func (c *schemaCheck) object(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	if s.members.least > v.Len() {
		c.fault(r, at, "array_min_properties", "Must have at least "+strconv.Itoa(s.members.least)+" properties")
	}
	if s.members.most >= 0 && s.members.most < v.Len() {
		c.fault(r, at, "array_max_properties", "Must have at most "+strconv.Itoa(s.members.most)+" properties")
	}
	for _, name := range s.required {
		if _, ok := v.Get(name); ok {
			r.score++
		} else {
			c.fault(r, at, "required", name+" is required")
		}
	}
	for name, e := range v.Members() {
		known := c.byPattern(s, name, e, at, r, depth) || s.hasProperty(name)
		switch {
		case known:
		case s.otherProperties.none:
			c.fault(r, at, "additional_property_not_allowed", "Additional property "+name+" is not allowed")
		case s.otherProperties.schema != nil:
			r.merge(c.apart(s.otherProperties.schema, e, &trail{name, at}, depth))
		}
	}
	if s.names != nil {
		for name := range v.Members() {
			if o := c.apart(s.names, String(name), at, depth); !o.valid() {
				c.fault(r, at, "invalid_property_name", `Property name of "`+name+`" does not match`)
				r.merge(o)
			}
		}
	}
	r.score++
}

func (s *schema) hasProperty(name string) bool {
	for i := range s.properties {
		if s.properties[i].name == name {
			return true
		}
	}
	return false
}

// byPattern checks the member called name by what patterns say of it, and reports
// whether one fits.
func (c *schemaCheck) byPattern(s *schema, name string, e Value, at *trail, r *schemaResult, depth int) (found bool) {
	for _, p := range s.patterns {
		if !c.vm.chargePattern(p.name, name) {
			c.err = errLimits
			return found
		}
		if p.pattern.MatchString(name) {
			found = true
			r.merge(c.apart(p.schema, e, &trail{name, at}, depth))
		}
	}
	if found {
		r.score++
	}
	return found
}
