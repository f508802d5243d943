package engine

// strOperand returns operand i, from 0, as a string.
func strOperand(name string, args []Value, i int) (string, error) {
	if s, ok := args[i].Str(); ok {
		return s, nil
	}
	return "", wrongType(name, i+1, "string")
}

// strOperands returns the first two operands as strings.
func strOperands(name string, args []Value) (a, b string, err error) {
	if args[0].Kind() != KindString {
		return "", "", wrongType(name, 1, "string")
	}
	if args[1].Kind() != KindString {
		return "", "", wrongType(name, 2, "string")
	}
	return args[0].str(), args[1].str(), nil
}

// intOperand returns operand i as an integer.
func intOperand(name string, args []Value, i int) (int, error) {
	if n, ok := args[i].Int(); ok {
		return int(n), nil
	}
	return 0, wrongType(name, i+1, "integer")
}

// listOperand returns the elements of operand i, an array or a set.
func listOperand(name string, args []Value, i int) ([]Value, error) {
	if k := args[i].Kind(); k == KindArray || k == KindSet {
		return args[i].elems(), nil
	}
	return nil, wrongType(name, i+1, "array or set")
}

// strList returns the elements of operand i, all of them strings.
func strList(name string, args []Value, i int) ([]string, error) {
	elems, err := listOperand(name, args, i)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(elems))
	for j, e := range elems {
		s, ok := e.Str()
		if !ok {
			return nil, errNoStrings(name, i)
		}
		list[j] = s
	}
	return list, nil
}

// errNoStrings is the failure of a builtin whose operand i has other elements.
func errNoStrings(name string, i int) error { return wrongType(name, i+1, "array or set of strings") }

// work charges for n bytes or values that are looked at.
func (vm *VM) work(n int) error {
	if !vm.charge(n / 32) {
		return errLimits
	}
	return nil
}

// text returns a new string as a value; see also written.
func (vm *VM) text(s string) (Value, error) {
	if !vm.alloc(len(s)) || !vm.charge(len(s)/64) {
		return Value{}, errLimits
	}
	return String(s), nil
}

// texts returns new strings as an array.
func (vm *VM) texts(list []string) (Value, error) {
	elems := vm.make(len(list))
	if len(elems) != len(list) || !vm.charge(len(list)/4) {
		return Value{}, errLimits
	}
	for i, s := range list {
		elems[i] = String(s)
	}
	return newArray(elems), nil
}
