package compile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// schemaPolicy makes sets of what OPA finds in the random order of its maps.
const schemaPolicy = `package t

m := [r[0], {e | some e in r[1]}] if r := json.match_schema(input.d, input.s)

v := json.verify_schema(input.s)
`

// A schemaJudge asks both, OPA and the engine, about schemas.
type schemaJudge struct {
	t    *testing.T
	opa  *oracle
	prog *engine.Program
	vm   *engine.VM
}

func newSchemaJudge(t *testing.T, l engine.Limits) *schemaJudge {
	t.Helper()
	src := Source{Modules: map[string]string{"t.rego": schemaPolicy}}
	r, err := Compile(src, Options{Entrypoints: []string{"t/m", "t/v"}, Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOracle(src, oracleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	vm := prog.NewVM(l)
	vm.Strict(true)
	return &schemaJudge{t, o, prog, vm}
}

func (j *schemaJudge) eval(rule, text string) (engine.Value, error) {
	j.t.Helper()
	input, err := engine.ParseJSON([]byte(text), engine.JSONLimits{Depth: 1000, Values: 1 << 20})
	if err != nil {
		j.t.Fatalf("%v: %s", err, text)
	}
	e, _ := j.prog.Entrypoint(rule)
	j.vm.Begin(input, decisionTime)
	return j.vm.Eval(e)
}

// compare holds both against each other; of a schema with several faults, which
// one OPA tells is left to chance.
func (j *schemaJudge) compare(schema, doc string) {
	j.t.Helper()
	text := `{"d":` + doc + `,"s":` + schema + `}`
	var x any
	if err := util.UnmarshalJSON([]byte(text), &x); err != nil {
		j.t.Fatalf("%v: %s", err, text)
	}
	for _, rule := range []string{"t/m", "t/v"} {
		want, err := j.opa.eval(rule, ast.MustInterfaceToValue(x), true)
		if err != nil {
			continue // it panics
		}
		if got, _ := outcomeOf(j.eval(rule, text)); got != want {
			j.t.Errorf("%s %s\n got %v\nwant %v", rule, text, got, want)
		}
	}
}

func TestSchemasAsOPA(t *testing.T) {
	j := newSchemaJudge(t, engine.Limits{})
	docs := []string{
		`{}`, `[]`, `{"a":1}`, `{"a":"x","b":[1,2]}`, `[1,1.0,"é"]`, `"1"`, `"null"`, `"\"abc\""`, `"{\"a\": 1, \"a\": 2}"`, `"{"`, `1`, `null`, `"1e3"`, `"2.50"`, `"7"`,
		`{"a":{"a":{"a":null}},"<":"&"}`, `[[1],[1.0],[2]]`, `[{"a":1,"b":2},{"b":2.0,"a":1.0}]`, `{"card":1}`, `{"card":1,"bill":2}`, `[1e21,1e-7,100000,-0]`,
	}
	for _, schema := range []string{
		`{}`, `[]`, `true`, `1`, `"true"`, `"5"`, `"[]"`, `"{\"type\": \"object\"}"`, `null`, `{"type":"integer"}`, `{"type":"number"}`, `{"type":["null","string"]}`, `{"type":["string","string"]}`, `{"type":[1]}`, `{"type":1}`, `{"type":"any"}`,
		`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":2,"exclusiveMinimum":true}`, `{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMinimum":1}`, `{"$schema":"http://json-schema.org/draft-07/schema#","exclusiveMinimum":true}`,
		`{"$schema":"http://json-schema.org/draft-04/schema","additionalProperties":{"type":"string"},"propertyNames":false,"const":1}`, `{"$schema":"http://json-schema.org/draft-06/schema#","if":{"type":"object"},"then":false}`, `{"$schema":5}`, `{"$schema":"%zz"}`, `{"$schema":"x"}`,
		`{"minimum":"1"}`, `{"minimum":2,"maximum":2}`, `{"minimum":1000000,"exclusiveMaximum":0.1}`, `{"minimum":7,"exclusiveMinimum":true}`, `{"maximum":7,"exclusiveMaximum":true}`, `{"exclusiveMaximum":false}`, `{"exclusiveMaximum":"x"}`, `{"multipleOf":0.1}`, `{"multipleOf":3}`, `{"multipleOf":0}`, `{"multipleOf":"x"}`, `{"multipleOf":2.5}`, `{"maximum":1e400}`,
		`{"minLength":2}`, `{"maxLength":2}`, `{"minLength":2.0}`, `{"minLength":1e1}`, `{"minLength":-1}`, `{"minLength":"1"}`, `{"minLength":3,"maxLength":2}`, `{"pattern":"^a"}`, `{"pattern":"("}`, `{"pattern":1}`, `{"format":1}`,
		`{"minProperties":1}`, `{"maxProperties":1}`, `{"minProperties":2,"maxProperties":1}`, `{"required":["a","c"]}`, `{"required":["a","a"]}`, `{"required":"a"}`, `{"required":[1]}`,
		`{"properties":{"a":{"type":"string"}}}`, `{"properties":{"a":false}}`, `{"properties":[]}`, `{"properties":{"a":1}}`, `{"additionalProperties":false}`, `{"properties":{"a":true},"additionalProperties":false}`, `{"additionalProperties":{"type":"string"}}`, `{"additionalProperties":1}`,
		`{"patternProperties":{"^a":{"type":"string"}}}`, `{"patternProperties":{"(":{}}}`, `{"patternProperties":1}`, `{"patternProperties":{"^a$":true},"additionalProperties":false}`, `{"propertyNames":{"maxLength":0}}`, `{"propertyNames":1}`,
		`{"dependencies":{"card":["bill"]}}`, `{"dependencies":{"card":{"required":["bill"]}}}`, `{"dependencies":{"card":1}}`, `{"dependencies":{"card":[1]}}`, `{"dependencies":1}`, `{"dependencies":{"card":false}}`,
		`{"items":{"type":"string"}}`, `{"items":[{"type":"integer"}]}`, `{"items":[{"type":"integer"}],"additionalItems":false}`, `{"items":[{},{}],"additionalItems":{"type":"integer"}}`, `{"items":1}`, `{"items":[1]}`, `{"items":false}`, `{"additionalItems":1}`, `{"minItems":3}`, `{"maxItems":2}`, `{"minItems":3,"maxItems":2}`, `{"uniqueItems":true}`, `{"uniqueItems":1}`, `{"contains":{"type":"string"}}`, `{"contains":1}`, `{"contains":{"items":{"minimum":3}}}`,
		`{"const":{"a":1.0}}`, `{"const":"<&>"}`, `{"const":1e400}`, `{"enum":[{},[],1]}`, `{"enum":[]}`, `{"enum":[1,1.0]}`, `{"enum":1}`, `{"enum":[1e21,1e-7,"é<"]}`, `{"const":[1,{"b":null,"a":false}]}`,
		`{"oneOf":[{"type":"object"},{"type":"array"}]}`, `{"oneOf":[{},{}]}`, `{"oneOf":[{"required":["x"]},{"required":["a"],"minProperties":5}]}`, `{"oneOf":1}`, `{"anyOf":[{"type":"string"},{"minItems":9,"items":{"type":"integer"}}]}`, `{"anyOf":[1]}`, `{"allOf":[{"type":"object"},{"required":["a"]}]}`, `{"allOf":[{"maxItems":1},{"minItems":1}]}`, `{"not":{"type":"object"}}`, `{"not":1}`, `{"not":false}`,
		`{"if":{"type":"object"},"then":{"required":["a"]},"else":{"minItems":1}}`, `{"if":1}`, `{"then":1}`, `{"else":[]}`, `{"if":false,"else":false}`, `{"if":true,"then":{"type":"null"}}`,
		`{"definitions":{"x":{"type":"string"}},"$ref":"#/definitions/x"}`, `{"definitions":{"x":{"type":"string"}},"items":{"$ref":"#/definitions/x"}}`, `{"definitions":[]}`, `{"definitions":{"x":1}}`, `{"definitions":{"x":{"type":"q"}}}`, `{"$ref":1}`, `{"$ref":"%zz"}`, `{"$ref":"#/nope"}`, `{"$ref":"other.json"}`, `{"$ref":"http://example.com/x.json"}`, `{"$ref":"http://example.com/x.json#/a"}`, `{"allOf":[{"type":"object"}],"properties":{"a":{"$ref":"#/allOf/0"}}}`, `{"allOf":[{}],"properties":{"a":{"$ref":"#/allOf/1"}}}`, `{"allOf":[{}],"properties":{"a":{"$ref":"#/allOf/x"}}}`, `{"title":"t","properties":{"a":{"$ref":"#/title"}}}`, `{"title":"t","properties":{"a":{"$ref":"#/title/x"}}}`,
		`{"properties":{"a":{"$ref":"#"}},"type":"object"}`, `{"items":{"$ref":"#"},"minItems":1}`, `{"definitions":{"a~b/c":{"type":"array"}},"properties":{"a":{"$ref":"#/definitions/a~0b~1c"}}}`, `{"definitions":{"é":{"type":"array"}},"properties":{"a":{"$ref":"#/definitions/%C3%A9"}}}`,
		`{"$id":"http://x.example/root.json","definitions":{"b":{"$id":"b.json","type":"array"}},"properties":{"a":{"$ref":"b.json"}}}`, `{"$id":"http://x.example/root.json","definitions":{"b":{"$id":"#foo","type":"array"}},"properties":{"a":{"$ref":"#foo"}}}`, `{"definitions":{"a":{"$id":"x"},"b":{"$id":"x"}}}`, `{"$id":1}`, `{"id":1}`, `{"$id":"%zz"}`, `{"id":"http://x.example/","properties":{"a":{"$ref":"#/definitions/q"}},"definitions":{"q":{"type":"string"}}}`, `{"$schema":"http://json-schema.org/draft-04/schema#","$id":1,"id":"q"}`,
		`{"title":1}`, `{"description":1}`, `{"items":[{"$ref":"#/definitions/x"},{"$ref":"#/definitions/x","type":"q"}],"definitions":{"x":{}}}`, `{"$ref":"#/definitions/x","type":"q","definitions":{"x":{"type":"object"}}}`,
		`{"properties":{"a":{"properties":{"a":{"required":["zz"]}}},"<":{"maxLength":0}},"required":["q"]}`, `{"default":{"$ref":"#/nope","$id":"z"}}`,
	} {
		for _, doc := range docs {
			j.compare(schema, doc)
		}
	}
	for format, texts := range map[string][]string{
		"date": {"2024-02-30", "2024-02-29"}, "time": {"12:00:00", "12:00:00Z", "25:00:00"}, "date-time": {"2024-01-01T00:00:00Z", "2024-01-01", "x"}, "hostname": {"a.example", "-a", strings.Repeat("a", 64)},
		"email": {"a@b", "a", "A B <a@b.c>"}, "idn-email": {"é@b"}, "ipv4": {"1.2.3.4", "1.2.3", "::1", "::ffff:1.2.3.4"}, "ipv6": {"::1", "1.2.3.4", "fe80::1%x"},
		"uri": {"a:b", "/x", `a:\b`}, "uri-reference": {"/x", "%zz"}, "iri": {"é:b"}, "iri-reference": {"é"}, "uri-template": {"/a/{b}", "/a/{b", "{"}, "uuid": {"c2fc67c2-47f2-11ee-b67a-9f3619c7493f", "x"},
		"regex": {"a+", "(", ""}, "json-pointer": {"/a~1", "/a~2", "a"}, "relative-json-pointer": {"0/a", "1#", "01"}, "unknown": {"x"},
	} {
		for _, s := range texts {
			j.compare(`{"items":{"format":"`+format+`"}}`, fmt.Sprintf(`[%q, 1]`, s))
		}
	}
}

// TestGeneratedSchemasAsOPA does the same with schemas in schemas.
func TestGeneratedSchemasAsOPA(t *testing.T) {
	j := newSchemaJudge(t, engine.Limits{})
	r := rand.New(rand.NewPCG(3, 4))
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	var schema, doc func(depth int) string
	schema = func(depth int) string {
		var parts []string
		for _, k := range r.Perm(15)[:1+r.IntN(3)] {
			sub := `{"type":"` + one("string", "integer", "object", "array", "null") + `"}`
			if depth > 0 {
				sub = schema(depth - 1)
			}
			parts = append(parts, []string{
				`"type":"` + one("object", "array", "string", "number") + `"`, `"properties":{"a":` + sub + `,"b":{"minimum":1}}`, `"required":["` + one("a", "b") + `"]`,
				one(`"items":`+sub, `"items":[{},`+sub+`],"additionalItems":`+one("false", sub)), `"anyOf":[` + sub + `,{"minItems":2}]`, `"oneOf":[` + sub + `,{"required":["b"]}]`, `"allOf":[` + sub + `,{"maxProperties":1}]`, `"not":` + sub,
				`"if":` + sub + `,"then":{"maxItems":1},"else":{"type":"object"}`, `"additionalProperties":` + one("false", sub), `"contains":` + sub, `"uniqueItems":true`, `"enum":[` + doc(1) + `,"q"]`,
				`"dependencies":{"a":` + one(sub, `["b"]`) + `}`, `"patternProperties":{"[ab]":` + sub + `}`,
			}[k])
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	doc = func(depth int) string {
		if depth == 0 {
			return one("1", "2.0", `"a"`, "null", "true", "[]", "{}")
		}
		return one(`{"a":`+doc(depth-1)+`,"b":`+doc(depth-1)+`}`, `[`+doc(depth-1)+`,`+doc(depth-1)+`]`, `{"b":`+doc(depth-1)+`}`, doc(0))
	}
	for range 800 {
		j.compare(schema(2), `[`+doc(3)+`]`)
		j.compare(schema(2), `{"a":`+doc(2)+`}`)
	}
}

// TestSchemasAreBounded asks what overflows the stack of OPA's library, and what
// takes it very long.
func TestSchemasAreBounded(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 400) + `{}` + strings.Repeat(`}`, 400)
	tests := []struct {
		name, schema, doc string
		want              engine.ErrorCode
	}{
		{"a schema that is itself", `{"$ref":"#"}`, `{}`, engine.ErrDepth},
		{"a schema that is itself, all of it", `{"allOf":[{"$ref":"#"}]}`, `{}`, engine.ErrDepth},
		{"two that are each other", `{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}},"$ref":"#/definitions/a"}`, `{}`, engine.ErrDepth},
		{"schemas in schemas", deep, `[]`, engine.ErrDepth},
		{"a document of documents", `{"items":{"$ref":"#"}}`, strings.Repeat("[", 400) + strings.Repeat("]", 400), engine.ErrDepth},
		{"twice as many at each level", `{"anyOf":[{"items":{"$ref":"#"},"minItems":9},{"items":{"$ref":"#"},"minItems":9}]}`, strings.Repeat("[", 60) + strings.Repeat("]", 60), engine.ErrInstructions},
		{"faults without end", `{"allOf":[` + strings.Repeat(`{"items":{"type":"string"}},`, 3000) + `{}]}`, `[` + strings.Repeat("1,", 3000) + `1]`, engine.ErrInstructions},
		{"a name that is long", `{"additionalProperties":{"items":false}}`, `{"` + strings.Repeat("x", 100_000) + `":[` + strings.Repeat("1,", 300) + `1]}`, engine.ErrInstructions},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := newSchemaJudge(t, engine.Limits{})
			v, err := j.eval("t/m", `{"d":`+tt.doc+`,"s":`+tt.schema+`}`)
			if got, _ := outcomeOf(v, err); got.code != string(tt.want) {
				t.Errorf("got %.200v, want %s", got, tt.want)
			}
		})
	}
}
