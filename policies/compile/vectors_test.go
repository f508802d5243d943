package compile

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// A vector is one evaluation of data.t.p and what it must end with, in OPA, in
// the engine and in the engine in WebAssembly.
type vector struct {
	Note   string          `json:"note"`
	Policy string          `json:"policy"` // of package t
	Data   map[string]any  `json:"data"`
	Input  json.RawMessage `json:"input"`
	Strict bool            `json:"strict"`
	Want   string          `json:"want"` // a value as Rego writes it, an error code, or "" for undefined
}

func (v vector) outcome() outcome {
	if strings.HasPrefix(v.Want, "eval_") {
		return outcome{code: v.Want}
	}
	return outcome{value: v.Want}
}

func TestVectors(t *testing.T) {
	b, err := os.ReadFile("../testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	wasm := newWasmEngine(t)
	for _, v := range vectors {
		t.Run(v.Note, func(t *testing.T) { v.run(t, wasm) })
	}
}

func (v vector) run(t *testing.T, wasm *wasmEngine) {
	src := Source{Modules: map[string]string{"t.rego": "package t\n\n" + v.Policy + "\n"}, Data: v.Data}
	if src.Data == nil {
		src.Data = map[string]any{}
	}
	var x any
	if err := util.UnmarshalJSON(v.Input, &x); err != nil {
		t.Fatal(err)
	}
	o, err := newOracle(src, oracleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inOPA, err := o.eval("t/p", ast.MustInterfaceToValue(x), v.Strict)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(src, Options{Entrypoints: []string{"t/p"}, Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	input, err := engine.ParseJSON(v.Input, engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := caseProgram{r.Program, input}.eval(v.Strict, decisionTime)
	native, _ := outcomeOf(got, err)
	if want := v.outcome(); inOPA != want || native != want {
		t.Errorf("got %v and from OPA %v, want %v", native, inOPA, want)
	}
	there, err := wasm.eval(r.Program, input, v.Strict, decisionTime)
	inWasm, _ := outcomeOf(there, err)
	if inWasm.code != native.code || there.String() != got.String() {
		t.Errorf("in wasm %v, natively %v", inWasm, native)
	}
}
