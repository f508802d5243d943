package engine

func typeBuiltins() []builtin {
	return []builtin{
		{"is_null", 1, isKind(KindNull)},
		{"is_boolean", 1, isKind(KindBool)},
		{"is_number", 1, isKind(KindNumber)},
		{"is_string", 1, isKind(KindString)},
		{"is_array", 1, isKind(KindArray)},
		{"is_object", 1, isKind(KindObject)},
		{"is_set", 1, isKind(KindSet)},
		{"type_name", 1, func(vm *VM, a []Value) (Value, error) { return String(a[0].Kind().String()), nil }},
	}
}

func isKind(k Kind) func(*VM, []Value) (Value, error) {
	return func(_ *VM, a []Value) (Value, error) { return Bool(a[0].Kind() == k), nil }
}
