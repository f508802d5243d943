// Package parsers holds gate's reader against those of the servers behind it: a
// message that gate lets through must be the same one to Python, to JavaScript
// and to Go's own, lenient reader. Otherwise a policy decides one call, and the
// server makes another.
package parsers

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"keyward/plugins/mcp"
	"keyward/policies/engine"
	"keyward/tests/testenv"
)

// messages is how many are made; one in seven is let through.
const messages = 30_000

func TestEveryReaderTakesAMessageForTheSame(t *testing.T) {
	var bodies [][]byte
	var want []string
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range messages {
		body := []byte(g.message())
		if m, ok := read(body); ok {
			bodies = append(bodies, body)
			want = append(want, message(m.Method, str(m.Name), value(m.Arguments)))
		}
	}
	t.Logf("%d of %d messages are let through", len(bodies), messages)
	if len(bodies) < messages/10 {
		t.Fatal("too few are let through to tell anything")
	}
	readers := map[string][]string{"Go": nil}
	for _, body := range bodies {
		readers["Go"] = append(readers["Go"], lenient(body))
	}
	readers["JavaScript"] = run(t, bodies, testenv.NeedNodeJS(t), "testdata/read.js")
	readers["Python"] = run(t, bodies, testenv.NeedPython3(t), "testdata/read.py")
	for name, got := range readers {
		if len(got) != len(want) {
			t.Fatalf("%s read %d messages of %d", name, len(got), len(want))
		}
		for i, body := range bodies {
			if got[i] != want[i] {
				t.Errorf("%s takes %q for\n\t%s, gate for\n\t%s", name, body, got[i], want[i])
			}
		}
	}
}

func read(body []byte) (mcp.Message, bool) {
	h, fault := mcp.ReadHeaders([][2]string{{"content-type", "application/json"}, {"mcp-protocol-version", "2025-11-25"}})
	if fault != nil {
		return mcp.Message{}, false
	}
	m, fault := mcp.Read(new(engine.JSONReader), body, &h, mcp.Settings{})
	return m, fault == nil
}

// run gives the bodies to a reader of another language.
func run(t *testing.T, bodies [][]byte, program, script string) []string {
	t.Helper()
	var in bytes.Buffer
	for _, body := range bodies {
		in.WriteString(base64.StdEncoding.EncodeToString(body) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), program, script)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// lenient is encoding/json: names in any case, the last of two.
func lenient(body []byte) string {
	var m struct {
		Method string
		Params struct {
			Name      any
			Arguments any
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "error " + err.Error()
	}
	return message(m.Method, decoded(m.Params.Name), decoded(m.Params.Arguments))
}

// The readers write what they read in one form: z, t, f for null and the
// booleans, n and the bits of a float64, s and UTF-8 in hex, [] and {}. Only a call
// has a name and arguments.

func message(method, name, arguments string) string {
	if method != "tools/call" {
		return list(str(method))
	}
	return list(str(method), name, arguments)
}

func list(elems ...string) string { return "[" + strings.Join(elems, ",") + "]" }

func str(s string) string { return "s" + hex.EncodeToString([]byte(s)) }

func number(f float64) string { return fmt.Sprintf("n%016x", math.Float64bits(f+0)) }

func object(members []string) string {
	slices.Sort(members)
	return "{" + strings.Join(members, ",") + "}"
}

func value(v engine.Value) string {
	switch v.Kind() {
	case engine.KindBool:
		if b, _ := v.Bool(); b {
			return "t"
		}
		return "f"
	case engine.KindNumber:
		f, ok := v.Float()
		if !ok {
			return "n!"
		}
		return number(f)
	case engine.KindString:
		s, _ := v.Str()
		return str(s)
	case engine.KindArray:
		var elems []string
		for e := range v.Elems() {
			elems = append(elems, value(e))
		}
		return list(elems...)
	case engine.KindObject:
		var members []string
		for name, e := range v.Members() {
			members = append(members, str(name)+":"+value(e))
		}
		return object(members)
	default:
		return "z"
	}
}

func decoded(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "t"
		}
		return "f"
	case float64:
		return number(v)
	case string:
		return str(v)
	case []any:
		var elems []string
		for _, e := range v {
			elems = append(elems, decoded(e))
		}
		return list(elems...)
	case map[string]any:
		var members []string
		for name, e := range v {
			members = append(members, str(name)+":"+decoded(e))
		}
		return object(members)
	default:
		return "z"
	}
}
