//go:build !lean

package engine

// objects are the keywords about objects that hold schemas.
func (k keywords) objects(s *schema) (err error) {
	if v, ok := k.v.Get("properties"); ok {
		if v.Kind() != KindObject {
			return mustBe("Properties", "object")
		}
		for name, e := range v.Members() {
			p := property{name: name}
			if p.schema, err = k.sub(e); err != nil {
				return err
			}
			s.properties = append(s.properties, p)
		}
	}
	if s.otherProperties, err = k.extra("additionalProperties"); err != nil {
		return err
	}
	if v, ok := k.v.Get("patternProperties"); ok {
		if v.Kind() != KindObject {
			return notOfType("Valid Schema", "patternProperties")
		}
		for name, e := range v.Members() {
			p := property{name: name}
			if p.pattern, err = k.regex(name); err != nil {
				return faultOf(err, "Invalid regex pattern '"+name+"'")
			}
			if p.schema, err = k.sub(e); err != nil {
				return err
			}
			s.patterns = append(s.patterns, p)
		}
	}
	if v, ok := k.v.Get("propertyNames"); ok && k.draft >= draft6 {
		if !isSchema(v) {
			return notOfType("Valid Schema", "patternProperties")
		}
		if s.names, err = k.sub(v); err != nil {
			return err
		}
	}
	return k.dependencies(s)
}

func (k keywords) dependencies(s *schema) (err error) {
	v, ok := k.v.Get("dependencies")
	if !ok {
		return nil
	}
	if v.Kind() != KindObject {
		return mustBe("dependencies", "object")
	}
	for name, e := range v.Members() {
		p := property{name: name}
		switch e.Kind() {
		case KindArray:
			for _, n := range e.elems() {
				need, ok := n.Str()
				if !ok {
					return mustBe("Dependency", "Schema Or Array Of Strings")
				}
				p.needs = append(p.needs, need)
			}
		case KindObject, KindBool:
			if p.schema, err = k.sub(e); err != nil {
				return err
			}
		default:
			return mustBe("Dependency", "Schema Or Array Of Strings")
		}
		s.dependencies = append(s.dependencies, p)
	}
	return nil
}

func (k keywords) extra(key string) (x extra, err error) {
	v, ok := k.v.Get(key)
	if !ok {
		return x, nil
	}
	switch v.Kind() {
	case KindBool:
		x.none = v.isFalse()
	case KindObject:
		x.schema, err = k.sub(v)
	default:
		err = notOfType("boolean/Valid Schema", key)
	}
	return x, err
}

// arrays are the keywords about the items of arrays.
func (k keywords) arrays(s *schema) (err error) {
	v, ok := k.v.Get("items")
	switch {
	case !ok:
	case v.Kind() == KindArray:
		for _, e := range v.elems() {
			if !isSchema(e) {
				return notOfType("Valid Schema/Array Of Schemas", "items")
			}
			item, err := k.sub(e)
			if err != nil {
				return err
			}
			s.list = append(s.list, item)
		}
	case isSchema(v):
		if s.each, err = k.sub(v); err != nil {
			return err
		}
	default:
		return notOfType("Valid Schema/Array Of Schemas", "items")
	}
	s.otherItems, err = k.extra("additionalItems")
	return err
}

// combinations are the keywords that combine schemas.
func (k keywords) combinations(s *schema) (err error) {
	for _, list := range []struct {
		key string
		to  *[]*schema
	}{{"oneOf", &s.oneOf}, {"anyOf", &s.anyOf}, {"allOf", &s.allOf}} {
		elems, _, err := k.array(list.key)
		if err != nil {
			return err
		}
		for _, e := range elems {
			one, err := k.sub(e)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, one)
		}
	}
	for _, one := range []struct {
		key  string
		from int // draft
		to   **schema
	}{{"not", 0, &s.not}, {"if", draft7, &s.when}, {"then", draft7, &s.then}, {"else", draft7, &s.orElse}} {
		v, ok := k.v.Get(one.key)
		if !ok || k.draft < one.from {
			continue
		}
		if !isSchema(v) {
			return mustBeAn(one.key, "object")
		}
		if *one.to, err = k.sub(v); err != nil {
			return err
		}
	}
	return nil
}
