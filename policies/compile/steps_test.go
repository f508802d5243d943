package compile

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// A story is an evaluation by what happened where, "file:row".
type story struct{ entered, exited, failed, evaluated map[string]bool }

func newStory() story {
	return story{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
}

// storyOf is how the engine tells it.
func storyOf(steps Steps) story {
	s := newStory()
	for _, e := range steps {
		if e.File == "<query>" {
			continue
		}
		at := e.Location.String()
		switch e.Step {
		case engine.StepEnter:
			s.entered[at] = true
		case engine.StepExit:
			s.exited[at] = true
		case engine.StepFail:
			s.failed[at] = true
		case engine.StepEval:
			s.evaluated[at] = true
		}
	}
	return s
}

// storyByOPA is how OPA tells it without its index of rules, which leaves bodies
// out. Of a negation it tells the inner expression too, which is not in a rule's
// body; the engine tells the negation.
func storyByOPA(t *testing.T, src Source, query, input string) story {
	t.Helper()
	modules, err := parse(src.Modules)
	if err != nil {
		t.Fatal(err)
	}
	c, err := check(modules, src.Data, Options{Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	direct := map[*ast.Expr]bool{}
	for _, m := range c.Modules {
		ast.WalkRules(m, func(r *ast.Rule) bool {
			for _, e := range r.Body {
				// What OPA makes of a head stands in the body too.
				direct[e] = e.Location != nil && r.Head.Location != nil && e.Location.Row != r.Head.Location.Row
			}
			return false
		})
	}
	body, err := c.QueryCompiler().Compile(ast.MustParseBody(query))
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOracle(src, oracleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := util.UnmarshalJSON([]byte(input), &x); err != nil {
		t.Fatal(err)
	}
	trace := topdown.NewBufferTracer()
	// An error of the policy ends the story there.
	_, _ = topdown.NewQuery(body).WithCompiler(c).WithStore(o.store).WithTransaction(o.txn).WithIndexing(false).
		WithTime(time.Unix(0, decisionTime)).WithInput(ast.NewTerm(ast.MustInterfaceToValue(x))).WithQueryTracer(trace).Run(t.Context())
	s := newStory()
	for _, e := range *trace {
		switch n := e.Node.(type) {
		case *ast.Rule:
			if n.Head.Location == nil {
				continue // made by the compiler
			}
			at := n.Head.Location.File + ":" + strconv.Itoa(n.Head.Location.Row)
			switch e.Op {
			case topdown.EnterOp:
				s.entered[at] = true
			case topdown.ExitOp:
				s.exited[at] = true
			}
		case *ast.Expr:
			if n.Location == nil {
				continue
			}
			at := n.Location.File + ":" + strconv.Itoa(n.Location.Row)
			switch {
			case e.Op == topdown.EvalOp && direct[n]:
				s.evaluated[at] = true
			case e.Op == topdown.FailOp && direct[n]:
				s.failed[at] = true
			}
		}
	}
	return s
}

// compareStories returns what differs, "" for nothing. An expression that tries
// many values fails for OPA when all of them have, for the engine each time.
func compareStories(ours, theirs story) string {
	var b strings.Builder
	same := func(what string, x, y map[string]bool) {
		if !maps.Equal(x, y) {
			b.WriteString(what + ": " + strings.Join(slices.Sorted(maps.Keys(x)), " ") + "; OPA: " + strings.Join(slices.Sorted(maps.Keys(y)), " ") + "\n")
		}
	}
	within := func(what string, x, y map[string]bool) {
		for at := range x {
			if !y[at] {
				b.WriteString(what + " " + at + "\n")
			}
		}
	}
	same("entered", ours.entered, theirs.entered)
	same("exited", ours.exited, theirs.exited)
	within("OPA alone evaluates", theirs.evaluated, ours.evaluated)
	within("OPA alone tells the failure of", theirs.failed, ours.failed)
	return b.String()
}

const storyPolicy = `package keyward

default allow := false

allow if {
	some g in input.grants
	g.tool == input.tool
	not blocked
}

allow if {
	input.admin == true
	count(input.tags) < data.most
}

blocked if {
	input.consumer in {"x", "y"}
}

deny contains msg if {
	every t in input.tags {
		t != "bad"
	}
	trace("only good tags")
	msg := sprintf("%v has only good tags", [input.consumer])
}

deny contains "weak" if {
	level(input.consumer) < 2
	not input.admin
}

deny contains {"long": names} if {
	names := [g.tool |
		some g in input.grants
		count(g.tool) > 3
	]
	names[_] == input.tool
}

level(name) := 3 if {
	name == "root"
} else := 2 if {
	startswith(name, "w")
} else := 1

by_tool[g.tool] := g.expires if {
	some g in input.grants
	g.expires > 10
}

ask if {
	by_tool[input.tool] < 20 with input.tool as "b"
}
`

func TestStepsAreThoseOfOPA(t *testing.T) {
	src := Source{Modules: map[string]string{"p.rego": storyPolicy}, Data: map[string]any{"most": 2}}
	for _, input := range []string{
		`{"grants":[{"tool":"a"},{"tool":"b"}],"tool":"b","consumer":"w","tags":["ok"]}`,
		`{"grants":[{"tool":"a"}],"tool":"b","consumer":"x","tags":["bad"],"admin":true}`,
		`{"grants":[{"tool":"long","expires":15},{"tool":"b","expires":12}],"tool":"long","consumer":"root","tags":[]}`,
		`{"grants":[],"tool":1,"consumer":"y","tags":["ok","bad"],"admin":true}`,
		`{"grants":7,"consumer":["x"]}`,
		`{}`,
	} {
		for _, rule := range []string{"allow", "deny", "ask", "by_tool"} {
			query := "x := data.keyward." + rule
			v, err := engine.ParseJSON([]byte(input), engine.JSONLimits{})
			if err != nil {
				t.Fatal(err)
			}
			_, steps, err := TraceQuery(t.Context(), src, query, QueryOptions{}, v, decisionTime)
			if err != nil {
				t.Fatal(err)
			}
			if diff := compareStories(storyOf(steps), storyByOPA(t, src, query, input)); diff != "" {
				var b bytes.Buffer
				steps.WriteTo(&b)
				t.Errorf("%s of %s:\n%s%s", rule, input, diff, b.String())
			}
		}
	}
}

// TestTracedProgramsAnswerAlike compares programs as they are planned, which tell
// their steps, with those made fast.
func TestTracedProgramsAnswerAlike(t *testing.T) {
	told, n := 0, 0
	for seed := range uint64(250) {
		g := newGenerator(seed)
		data := map[string]any{}
		if util.UnmarshalJSON([]byte(`{"d":`+g.document()+`}`), &data) != nil {
			continue
		}
		modules, rules := g.policy(generalRules, nil)
		for i := range rules {
			rules[i] = "t/" + rules[i]
		}
		src := Source{Modules: modules, Data: data}
		var vms [2]*engine.VM
		var programs [2]*engine.Program
		for i, traced := range []bool{false, true} {
			r, err := Compile(src, Options{Entrypoints: rules, Wide: true, Trace: traced})
			if err != nil {
				break
			}
			if programs[i], err = engine.Load(r.Program); err != nil {
				t.Fatal(err)
			}
			vms[i] = programs[i].NewVM(engine.Limits{Instructions: maxTold})
			vms[i].Trace(func(engine.Event) { told++ })
		}
		if vms[1] == nil {
			continue
		}
		for range 5 {
			input, err := engine.ParseJSON([]byte(g.document()), engine.JSONLimits{})
			if err != nil {
				continue
			}
			for _, name := range programs[0].Entrypoints() {
				var got [2]outcome
				for i := range vms {
					e, _ := programs[i].Entrypoint(name)
					vms[i].Begin(input, decisionTime)
					got[i], _ = outcomeOf(vms[i].Eval(e))
				}
				n++
				if got[0] != got[1] {
					t.Errorf("seed %d, %s: %v, traced %v", seed, name, got[0], got[1])
				}
			}
		}
	}
	if t.Logf("%d evaluations, %d steps", n, told); n == 0 || told < n {
		t.Error("too few")
	}
}
