//go:build !lean

package engine

import (
	"time"
	_ "time/tzdata" // zones for hosts that have none, such as a plugin's
)

var timeBuiltins = []builtin{
	{"time.parse_ns", 2, func(vm *VM, a []Value) (Value, error) {
		layout, text, err := strOperands("time.parse_ns", a)
		if err != nil {
			return Value{}, err
		}
		return parseTime("time.parse_ns", layoutOf(layout), text)
	}},
	{"time.parse_rfc3339_ns", 1, func(vm *VM, a []Value) (Value, error) {
		text, err := strOperand("time.parse_rfc3339_ns", a, 0)
		if err != nil {
			return Value{}, err
		}
		return parseTime("time.parse_rfc3339_ns", time.RFC3339, text)
	}},
	{"time.parse_duration_ns", 1, func(vm *VM, a []Value) (Value, error) {
		text, err := strOperand("time.parse_duration_ns", a, 0)
		if err != nil {
			return Value{}, err
		}
		d, ok := parseDuration(text)
		if !ok {
			return Value{}, failing("time.parse_duration_ns", "invalid duration")
		}
		return Int(int64(d)), nil
	}},
	{"time.format", 1, timeFormat},
	{"time.date", 1, func(vm *VM, a []Value) (Value, error) {
		t, _, err := timeOperand("time.date", a[0])
		year, month, day := t.Date()
		return ints(year, int(month), day), err
	}},
	{"time.clock", 1, func(vm *VM, a []Value) (Value, error) {
		t, _, err := timeOperand("time.clock", a[0])
		return ints(t.Clock()), err
	}},
	{"time.weekday", 1, func(vm *VM, a []Value) (Value, error) {
		t, _, err := timeOperand("time.weekday", a[0])
		return String(t.Weekday().String()), err
	}},
	{"time.add_date", 4, addDate},
	{"time.diff", 2, timeDiff},
}

func ints(list ...int) Value { return intArray(list) }

func intArray(list []int) Value {
	elems := make([]Value, len(list))
	for i, n := range list {
		elems[i] = Int(int64(n))
	}
	return newArray(elems)
}

// unixNano returns t as a value when its nanoseconds fit an int64.
func unixNano(name string, t time.Time) (Value, error) {
	if t.Before(time.Unix(0, -1<<63)) || t.After(time.Unix(0, 1<<63-1)) {
		return Value{}, failing(name, "time outside of valid range")
	}
	return Int(t.UnixNano()), nil
}

func parseTime(name, layout, text string) (Value, error) {
	t, err := time.Parse(layout, text)
	if err != nil {
		return Value{}, failing(name, "invalid time")
	}
	return unixNano(name, t)
}

// layoutOf returns the layout that has a name in package time, or the text as a
// layout itself.
func layoutOf(name string) string {
	switch name {
	case "ANSIC":
		return time.ANSIC
	case "UnixDate":
		return time.UnixDate
	case "RubyDate":
		return time.RubyDate
	case "RFC822":
		return time.RFC822
	case "RFC822Z":
		return time.RFC822Z
	case "RFC850":
		return time.RFC850
	case "RFC1123":
		return time.RFC1123
	case "RFC1123Z":
		return time.RFC1123Z
	case "RFC3339":
		return time.RFC3339
	case "RFC3339Nano":
		return time.RFC3339Nano
	}
	return name
}

// timeOperand reads ns or [ns, zone, layout]. The zone is a name of the IANA
// database, and not that of the host: a decision must not depend on it.
func timeOperand(name string, v Value) (t time.Time, layout string, err error) {
	wrong := wrongType(name, 1, "number (ns) or [number (ns), string (zone)]")
	ns, zone := v, time.UTC
	if v.Kind() == KindArray {
		if v.Len() == 0 {
			return time.Time{}, "", wrong
		}
		if ns = v.Index(0); ns.Kind() != KindNumber {
			return time.Time{}, "", wrong
		}
		if v.Len() > 1 {
			id, ok := v.Index(1).Str()
			if !ok {
				return time.Time{}, "", wrong
			}
			if zone, err = time.LoadLocation(id); err != nil || id == "Local" {
				return time.Time{}, "", failing(name, "unknown time zone")
			}
		}
		if v.Len() > 2 {
			var ok bool
			if layout, ok = v.Index(2).Str(); !ok {
				return time.Time{}, "", wrong
			}
		}
	}
	n, ok := ns.Int()
	if f, isFloat := ns.Float(); !ok && isFloat { // such as 1e18
		if n = int64(f); float64(n) != f || n == 1<<63-1 {
			return time.Time{}, "", failing(name, "timestamp too big")
		}
	} else if !ok {
		if ns.Kind() == KindNumber {
			return time.Time{}, "", failing(name, "timestamp too big")
		}
		return time.Time{}, "", wrong
	}
	return time.Unix(0, n).In(zone), layout, nil
}

func timeFormat(vm *VM, a []Value) (Value, error) {
	t, layout, err := timeOperand("time.format", a[0])
	if err != nil {
		return Value{}, err
	}
	if layout == "" {
		layout = time.RFC3339Nano
	}
	layout = layoutOf(layout)
	if !vm.alloc(4 * len(layout)) {
		return Value{}, errLimits
	}
	return vm.text(t.Format(layout))
}

func addDate(vm *VM, a []Value) (Value, error) {
	t, _, err := timeOperand("time.add_date", a[0])
	if err != nil {
		return Value{}, err
	}
	var n [3]int
	for i := range n {
		if n[i], err = intOperand("time.add_date", a, i+1); err != nil {
			return Value{}, err
		}
	}
	return unixNano("time.add_date", t.AddDate(n[0], n[1], n[2]))
}

// timeDiff returns the calendar distance: years, months, days, hours, minutes,
// seconds.
func timeDiff(vm *VM, a []Value) (Value, error) {
	from, _, err := timeOperand("time.diff", a[0])
	if err != nil {
		return Value{}, err
	}
	to, _, err := timeOperand("time.diff", a[1])
	if err != nil {
		return Value{}, err
	}
	to = to.In(from.Location())
	if from.After(to) {
		from, to = to, from
	}
	parts := func(t time.Time) [6]int {
		return [6]int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}
	}
	x, y := parts(from), parts(to)
	daysInMonth := time.Date(x[0], time.Month(x[1]+1), 0, 0, 0, 0, 0, time.UTC).Day()
	wrap := [6]int{0, 12, daysInMonth, 24, 60, 60}
	d := make([]int, 6)
	borrow := 0
	for i := 5; i >= 0; i-- {
		d[i] = y[i] - x[i] - borrow
		borrow = 0
		if d[i] < 0 && i > 0 {
			d[i] += wrap[i]
			borrow = 1
		}
	}
	return intArray(d), nil
}

// parseDuration is time.ParseDuration with days, weeks and years of 365 days.
func parseDuration(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(extendedUnits(s))
	return d, err == nil
}
