package compile

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// A generator makes policies, inputs and data. What it makes follows from its
// seed.
type generator struct {
	r    *rand.Rand
	vars []string // local variables that are in scope
	n    int      // of names made so far
	uses []string // rules that are there to be referred to
}

func newGenerator(seed uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 7))}
}

func (g *generator) one(list []string) string { return list[g.r.IntN(len(list))] }

func (g *generator) in(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) name(prefix string) string {
	g.n++
	return prefix + strconv.Itoa(g.n)
}

// json returns a JSON value.
func (g *generator) json(depth int) string {
	switch k := g.r.IntN(9); {
	case k < 2:
		return g.one(pools["number"])
	case k < 5 || depth == 0:
		return g.one(pools["string"])
	case k == 5:
		return g.one([]string{"true", "false", "null"})
	case k == 6:
		return "[" + g.list(3, func() string { return g.json(depth - 1) }) + "]"
	}
	return g.object(depth)
}

func (g *generator) object(depth int) string {
	seen := map[string]bool{}
	var members []string
	for range g.r.IntN(4) {
		k := g.one([]string{`"a"`, `"b"`, `"c"`, `"o"`, `"l"`, `"1"`, `""`})
		if !seen[k] {
			seen[k] = true
			members = append(members, k+":"+g.json(depth-1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g *generator) list(limit int, f func() string) string {
	parts := make([]string, g.r.IntN(limit+1))
	for i := range parts {
		parts[i] = f()
	}
	return strings.Join(parts, ",")
}

// document returns an input or base document, whose members mostly are what
// their names say; one in four has something else somewhere.
func (g *generator) document() string {
	members := map[string]func() string{
		"n": func() string { return g.one(pools["number"]) }, "i": func() string { return g.one(pools["small"]) },
		"s": func() string { return g.one(pools["string"]) }, "t": func() string { return g.one([]string{"true", "false"}) },
		"l":  func() string { return "[" + g.list(4, func() string { return g.json(1) }) + "]" },
		"ls": func() string { return "[" + g.list(4, func() string { return g.one(pools["string"]) }) + "]" },
		"ln": func() string { return "[" + g.list(4, func() string { return g.one(pools["number"]) }) + "]" },
		"o":  func() string { return g.object(2) },
		"lo": func() string { return "[" + g.list(3, func() string { return g.object(1) }) + "]" },
		"k":  func() string { return g.one([]string{`"r1"`, `"r2"`, `"r3"`, `"a"`, `"o"`, "true"}) },
	}
	var parts []string
	for _, name := range []string{"n", "i", "s", "t", "l", "ls", "ln", "o", "lo", "k"} {
		switch f := members[name]; {
		case g.in(12):
		case g.in(16):
			parts = append(parts, strconv.Quote(name)+":"+g.json(2))
		default:
			parts = append(parts, strconv.Quote(name)+":"+f())
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// ref returns a reference to something of a kind in the documents.
func (g *generator) ref(kinds ...string) string {
	return g.one([]string{"input.", "input.", "data.d."}) + g.one(kinds)
}

func (g *generator) local() (string, bool) {
	if len(g.vars) == 0 {
		return "", false
	}
	return g.one(g.vars), true
}

// any returns an expression of any type.
func (g *generator) any(depth int) string {
	switch k := g.r.IntN(12); {
	case k < 2:
		if v, ok := g.local(); ok {
			return v
		}
		return g.ref("s", "n", "o", "l")
	case k == 2 && len(g.uses) > 0:
		return g.one(g.uses)
	case k < 5:
		return g.number(depth)
	case k < 7:
		return g.text(depth)
	case k == 7:
		return g.ref("l", "o", "lo", "t", "k", "l[0]", "o.a", "lo[_].a", "o[input.k]")
	case k == 8:
		return g.array(depth)
	case k == 9:
		return g.set(depth)
	case k == 10:
		return g.obj(depth)
	}
	return g.one([]string{"true", "false", "null"})
}

func (g *generator) number(depth int) string {
	switch k := g.r.IntN(8); {
	case k < 2 || depth <= 0:
		return g.one(pools["number"])
	case k < 4:
		return g.ref("n", "i", "ln[0]", "ln[_]")
	case k == 4:
		return "count(" + g.collection(depth-1) + ")"
	case k == 5:
		return "f1(" + g.any(depth-1) + ")"
	}
	return "(" + g.number(depth-1) + g.one([]string{" + ", " - ", " * ", " / ", " % "}) + g.number(depth-1) + ")"
}

func (g *generator) text(depth int) string {
	switch k := g.r.IntN(8); {
	case k < 3 || depth <= 0:
		return g.one(pools["string"])
	case k < 5:
		return g.ref("s", "ls[0]", "ls[_]", "k")
	case k == 5:
		return `$"x{` + g.any(depth-1) + `}y{` + g.ref("s", "n", "o", "zz") + `}"`
	}
	return g.one([]string{"lower", "upper", "trim_space"}) + "(" + g.text(depth-1) + ")"
}

func (g *generator) collection(depth int) string {
	switch g.r.IntN(5) {
	case 0:
		return g.array(depth)
	case 1:
		return g.set(depth)
	case 2:
		return g.obj(depth)
	}
	return g.ref("l", "ls", "ln", "o", "lo")
}

func (g *generator) array(depth int) string {
	if depth > 0 && g.in(3) {
		return g.comprehension("[", "]", depth)
	}
	return "[" + g.list(3, func() string { return g.any(depth - 1) }) + "]"
}

func (g *generator) set(depth int) string {
	if depth > 0 && g.in(2) {
		return g.comprehension("{", "}", depth)
	}
	if g.in(5) {
		return "set()"
	}
	return "{" + g.any(depth-1) + ", " + g.any(depth-1) + "}"
}

func (g *generator) obj(depth int) string {
	if depth > 0 && g.in(3) {
		return g.comprehension("{k}", "}", depth)
	}
	if g.in(8) {
		return fmt.Sprintf(`{1: %s, "1": %s, true: %s, ["<"]: %s, {"a"}: 1}`, g.any(depth-1), g.any(0), g.any(0), g.any(0))
	}
	return fmt.Sprintf(`{"a": %s, "b": %s}`, g.any(depth-1), g.any(depth-1))
}

func (g *generator) comprehension(open, end string, depth int) string {
	keep := len(g.vars)
	defer func() { g.vars = g.vars[:keep] }()
	body := g.iterate(depth-1) + "; " + g.condition(depth-1)
	head := g.any(depth - 1)
	if open == "{k}" {
		open, head = "{", g.text(0)+": "+head
		if v, ok := g.local(); ok && g.in(2) {
			head = v + ": " + g.any(0)
		}
	}
	return open + head + " | " + body + end
}

// iterate binds variables to what is in a collection.
func (g *generator) iterate(depth int) string {
	k, v, c := g.name("k"), g.name("v"), g.collection(depth)
	var s string
	switch g.r.IntN(7) {
	case 0:
		s = fmt.Sprintf("some %s, %s in %s; [%s, %s] != 0", k, v, c, k, v)
		g.vars = append(g.vars, k, v)
	case 1:
		s = fmt.Sprintf("some %s in %s; [%s] != 0", v, c, v)
		g.vars = append(g.vars, v)
	case 2:
		s = fmt.Sprintf("some %s; %s := %s[%s]; [%s, %s] != 0", k, v, g.ref("l", "o", "lo", "ls"), k, k, v)
		g.vars = append(g.vars, k, v)
	case 3:
		s = fmt.Sprintf("walk(%s, [%s, %s])", g.ref("l", "o", "lo"), k, v)
		g.vars = append(g.vars, k, v)
	case 4:
		s = fmt.Sprintf("some %s, %s; %s[%s] = %s", k, v, g.ref("o", "l", "lo"), k, v)
		g.vars = append(g.vars, k, v)
	case 5:
		s = fmt.Sprintf(`some {"a": %s} in %s; [%s] != 0`, v, g.ref("lo", "l"), v)
		g.vars = append(g.vars, v)
	default:
		s = fmt.Sprintf("some %s; data.d[%s] = %s; [%s] != 0", k, k, v, k)
		if g.in(2) {
			s = fmt.Sprintf("%s := 1; %s := data.u[input.k]", k, v)
		}
		g.vars = append(g.vars, k, v)
	}
	return s
}

// condition returns an expression that holds or not.
func (g *generator) condition(depth int) string {
	switch k := g.r.IntN(15); {
	case k < 3 || depth <= 0:
		return g.any(0) + g.one([]string{" == ", " != ", " < ", " <= ", " > ", " >= ", " = "}) + g.any(1)
	case k == 3:
		return g.any(depth-1) + " in " + g.collection(depth-1)
	case k == 4:
		return "not " + g.condition(0)
	case k == 5:
		return g.scoped(func() string {
			k, v, c := g.name("k"), g.name("v"), g.collection(depth-1)
			g.vars = append(g.vars, k, v)
			return fmt.Sprintf("every %s, %s in %s { %s }", k, v, c, g.condition(depth-1))
		})
	case k == 6:
		return g.ref("t", "o.a", "l[_]", "lo[_].a", "k", "zz")
	case k == 7:
		v := g.name("v")
		s := v + " := " + g.any(depth-1)
		g.vars = append(g.vars, v)
		return s
	case k == 8:
		a, b := g.name("v"), g.name("v")
		s := fmt.Sprintf("[%s, %s] = %s", a, b, g.one([]string{g.array(depth - 1), "input.l", "input.ln"}))
		g.vars = append(g.vars, a, b)
		return s
	case k == 9:
		v := g.name("v")
		s := fmt.Sprintf(`{"a": %s, "b": %s} = %s`, v, g.one([]string{"_", `"x"`, "1"}), g.one([]string{g.obj(depth - 1), "input.o", "input.lo[_]"}))
		g.vars = append(g.vars, v)
		return s
	case k < 12:
		return g.mocked(depth)
	case k == 12:
		return "f2(" + g.any(0) + ", " + g.any(depth-1) + ")"
	case k == 13:
		return g.any(1) + ", " + g.any(1) + " in " + g.collection(depth-1)
	}
	return g.iterate(depth - 1)
}

// mocked returns a condition with something replaced.
func (g *generator) mocked(depth int) string {
	target := g.one([]string{"input.n", "input.o.a", "input", "data.d.s", "data.d", "data.t.h1", "input.x.y", "f1", "count"})
	value := g.any(depth - 1)
	switch target {
	case "f1":
		value = g.one([]string{"7", "g1"})
	case "count":
		value = g.one([]string{"3", "g1"})
	}
	v := g.name("v")
	s := fmt.Sprintf("%s := %s with %s as %s", v, g.one([]string{"data.t.h1", "data.t.h2", "f1(input.n)", "count(input.l)", "input", "data.d.s", "data.u.r1"}), target, value)
	if g.in(3) {
		s += " with input.s as " + g.text(0)
	}
	g.vars = append(g.vars, v)
	return s
}

func (g *generator) scoped(f func() string) string {
	keep := len(g.vars)
	defer func() { g.vars = g.vars[:keep] }()
	return f()
}

func (g *generator) body(depth int) string {
	lines := make([]string, 1+g.r.IntN(3))
	for i := range lines {
		if i == 0 && g.in(2) {
			lines[i] = g.iterate(depth)
		} else {
			lines[i] = g.condition(depth)
		}
	}
	return strings.Join(lines, "\n\t")
}

// rule returns a rule called name, of any kind.
func (g *generator) rule(name string) string {
	const depth = 2
	one := func(head func() string) string {
		return g.scoped(func() string {
			body := g.body(depth)
			return fmt.Sprintf("%s if {\n\t%s\n}\n", head(), body)
		})
	}
	value := func(prefix string) func() string {
		return func() string { return prefix + g.any(1) }
	}
	var b strings.Builder
	switch g.r.IntN(8) {
	case 0:
		b.WriteString(one(func() string { return name }))
		if g.in(2) {
			b.WriteString(one(func() string { return name }))
		}
	case 1:
		fmt.Fprintf(&b, "default %s := %s\n", name, g.one([]string{"false", "1", `"x"`, "[1]", "{}"}))
		b.WriteString(one(value(name + " := ")))
	case 2:
		b.WriteString(strings.TrimSuffix(one(value(name+" := ")), "\n"))
		b.WriteString(" else := " + strings.TrimPrefix(one(value("")), " "))
	case 3:
		b.WriteString(one(value(name + " contains ")))
		b.WriteString(one(value(name + " contains ")))
	case 4:
		b.WriteString(one(func() string { return name + "[" + g.text(1) + "] := " + g.any(1) }))
		b.WriteString(one(func() string { return name + "[" + g.any(0) + "] := " + g.any(1) }))
	case 5:
		b.WriteString(one(func() string { return name + "[" + g.text(0) + "].q contains " + g.any(1) }))
		b.WriteString(one(func() string { return name + `.p[` + g.text(0) + `] := ` + g.any(1) }))
	case 6:
		fmt.Fprintf(&b, "%s := %s\n", name, g.any(3))
	default:
		b.WriteString(one(value(name + " := ")))
		b.WriteString(one(value(name + " := ")))
	}
	return b.String()
}

// helpers are rules and functions for the others to use.
func (g *generator) helpers() string {
	g.uses = nil
	var b strings.Builder
	fmt.Fprintf(&b, "h1 := %s\n", g.ref("n", "s", "o", "l"))
	fmt.Fprintf(&b, "h2 contains x if some x in %s\n", g.ref("l", "ls", "o"))
	b.WriteString("h3[k] := v if some k, v in " + g.ref("o", "ls") + "\n")
	b.WriteString("f1(x) := x + 1 if is_number(x)\nf1(x) := count(x) if not is_number(x)\n")
	b.WriteString("f2(\"a\", x) if x\nf2(y, 1) if y\nf2(x, y) := y if x == y\ng1(_) := 5\n")
	g.uses = []string{"h1", "h2", "h3", "h3[input.k]", "h2[input.s]", "data.t.h3.a", "data.u.r1", "data.u", "data.u[input.k]", "data.d[input.k]"}
	return b.String()
}

// policy returns two modules with rules r1 to r<general>, and a rule for each of
// the builtins.
func (g *generator) policy(general int, builtins []*ast.Builtin) (modules map[string]string, rules []string) {
	g.vars, g.n = nil, 0
	var b strings.Builder
	b.WriteString("package t\n\n" + g.helpers())
	for i := range general {
		name := "r" + strconv.Itoa(i+1)
		b.WriteString("\n" + g.rule(name))
		rules = append(rules, name)
	}
	for i, f := range builtins {
		name := "b" + strconv.Itoa(i+1)
		b.WriteString("\n" + g.call(name, f))
		rules = append(rules, name)
	}
	u := "package u\n\nr1 := input.n\nr2 contains x if some x in input.l\nr3 if input.t\n"
	return map[string]string{"t.rego": b.String(), "u.rego": u}, rules
}

// call returns a rule that calls a builtin.
func (g *generator) call(name string, f *ast.Builtin) string {
	want := wants[f.Name]
	args := make([]string, 0, 4)
	for i, t := range f.Decl.FuncArgs().Args {
		pool := ""
		if i < len(want) {
			pool = want[i]
		}
		args = append(args, g.operand(t, pool))
	}
	call := f.Name + "(" + strings.Join(args, ", ") + ")"
	if f.Relation {
		return fmt.Sprintf("%s contains x if %s\n", name, strings.TrimSuffix(call, ")")+", x)")
	}
	return fmt.Sprintf("%s := %s\n", name, call)
}

// operand returns an operand of a builtin: of its type, or from a pool.
func (g *generator) operand(t types.Type, pool string) string {
	switch {
	case g.in(12):
		return g.ref("n", "s", "l", "o", "t", "ls", "lo")
	case pool == "[any]":
		return "[" + g.any(1) + ", " + g.any(1) + ", " + g.one(pools["number"]) + "]"
	case strings.HasPrefix(pool, "["):
		list := g.list(3, func() string { return g.one(pools[strings.Trim(pool, "[]")]) })
		if _, isArray := t.(*types.Array); isArray || list == "" || g.in(2) {
			return "[" + list + "]"
		}
		return "{" + list + "}"
	case pool != "":
		return g.one(pools[pool])
	}
	switch t := t.(type) {
	case types.String:
		return g.text(1)
	case types.Number:
		return g.number(1)
	case types.Boolean:
		return g.one([]string{"true", "false", "input.t"})
	case *types.Array:
		switch t.Dynamic() {
		case types.S:
			return g.one([]string{"input.ls", "data.d.ls", "[" + g.list(3, func() string { return g.text(0) }) + "]"})
		case types.N:
			return g.one([]string{"input.ln", "data.d.ln"})
		}
		return g.one([]string{"input.l", "data.d.l", "input.lo", g.array(1)})
	case *types.Set:
		if _, ofSets := t.Of().(*types.Set); ofSets {
			return "{" + g.set(1) + ", {x | some x in input.l}}"
		}
		return g.one([]string{"{x | some x in input.l}", "{x | some x in data.d.ls}", g.set(1)})
	case *types.Object:
		return g.one([]string{"input.o", "input", "data.d", g.obj(1)})
	case types.Any:
		if len(t) > 0 {
			return g.operand(t[g.r.IntN(len(t))], "")
		}
	case *types.NamedType:
		return g.operand(t.Type, "")
	}
	return g.any(1)
}
