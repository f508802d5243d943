package mcp

import (
	"strings"
	"testing"

	"keyward/policies"
	"keyward/policies/engine"
)

// session are the headers of a request under 2025-11-25, stateless those of a
// tools/call of get_issue under 2026-07-28.
func session(more ...[2]string) [][2]string {
	return append([][2]string{{"content-type", "application/json"}, {"mcp-protocol-version", "2025-11-25"}}, more...)
}

func stateless(more ...[2]string) [][2]string {
	return append([][2]string{
		{"content-type", "application/json"},
		{"mcp-protocol-version", "2026-07-28"},
		{"mcp-method", "tools/call"},
		{"mcp-name", "get_issue"},
	}, more...)
}

// statelessBody is a tools/call under 2026-07-28; args is the JSON of arguments.
func statelessBody(name, args string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":` + args +
		`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
}

const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_issue","arguments":{"repo":"a/b"}}}`

func read(t *testing.T, headers [][2]string, body string, s Settings) (Message, *Fault) {
	t.Helper()
	h, f := ReadHeaders(headers)
	if f != nil {
		return Message{}, f
	}
	m, f := CheckHeaders("POST", body == "", &h, s)
	if f != nil {
		return m, f
	}
	return Read(new(engine.JSONReader), []byte(body), &h, s)
}

func TestRead(t *testing.T) {
	tests := []struct {
		name    string
		headers [][2]string // nil: session()
		body    string
		want    policies.Reason
		id      string // of the fault; "" when it must not be echoed
	}{
		{name: "a plain call is read", body: call},
		{name: "a call without arguments is read", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`},
		{name: "white space around the value is fine", body: " \r\n\t" + call + "\n"},

		{name: "a name twice is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","name":"danger"}}`, want: policies.Malformed},
		{name: "a method twice is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"x"}}`, want: policies.Malformed},
		{name: "params twice is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}`, want: policies.Malformed},
		{name: "arguments twice is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{},"arguments":{"x":1}}}`, want: policies.Malformed},
		{name: "a name twice deep in an argument is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1,"y":2}]}}}`, want: policies.Malformed},
		{name: "one name in two objects is fine", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1},{"y":2}]}}}`},
		{name: "an escaped twin of a name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","n\u0061me":"danger"}}`, want: policies.Malformed},
		{name: "an escaped name alone is decided as decoded", body: `{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools/call","params":{"n\u0061me":"get_issue"}}`},

		{name: "METHOD is refused", body: `{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "Params is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"x"},"params":{"name":"y"}}`, want: policies.InvalidRequest},
		{name: "a variant of the ID hides it", body: `{"jsonrpc":"2.0","id":1,"ID":2,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "Name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","Name":"y"}}`, want: policies.InvalidRequest, id: "1"},
		{name: "Arguments alone is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","Arguments":{}}}`, want: policies.InvalidRequest, id: "1"},
		{name: "a long s in place of an s is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","argument\u017f":{}}}`, want: policies.InvalidRequest, id: "1"},
		{name: "a Kelvin sign in place of a k is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","tas\u212a":{}}}`, want: policies.InvalidRequest, id: "1"},
		{name: "na-me is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","na-me":"y"}}`, want: policies.InvalidRequest, id: "1"},
		{name: "_Meta is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_Meta":{}}}`, want: policies.InvalidRequest, id: "1"},
		{name: "a variant in _meta is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}}`, want: policies.InvalidRequest, id: "1"},
		{name: "Name is free within arguments", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"Name":"y","name":"z"}}}`},
		{name: "names of others are free in _meta", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"traceparent":"x","com.example/Name":1}}}`},

		{name: "two values are refused", body: call + call, want: policies.Malformed},
		{name: "newline-delimited values are refused", body: call + "\n" + call, want: policies.Malformed},
		{name: "something after the value is refused", body: call + "]", want: policies.Malformed},
		{name: "a byte order mark is refused", body: "\xef\xbb\xbf" + call, want: policies.Malformed},
		{name: "invalid UTF-8 is refused", body: strings.Replace(call, "a/b", "a\xffb", 1), want: policies.Malformed},
		{name: "half a surrogate pair is refused", body: strings.Replace(call, "a/b", `\ud800`, 1), want: policies.Malformed},
		{name: "a comment is refused", body: "/**/" + call, want: policies.Malformed},
		{name: "ten thousand arrays are refused", body: strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), want: policies.Malformed},
		{name: "ten thousand objects in an argument are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000) + "}}", want: policies.Malformed},
		{name: "fifty objects in an argument are fine", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":` + strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50) + "}}"},
		{name: "a hundred thousand members are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[0` + strings.Repeat(",0", 100_000) + "]}}}", want: policies.Malformed},
		{name: "a megabyte of name is refused", body: `{"` + strings.Repeat("a", 1<<20) + `":1}`, want: policies.BodyTooLarge},
		{name: "no body is refused", body: "", want: policies.BodyMissing},
		{name: "white space alone is refused", body: " \n", want: policies.Malformed},

		{name: "a batch is refused", body: "[" + call + "]", want: policies.BatchRefused},
		{name: "an empty batch is refused", body: "[]", want: policies.BatchRefused},
		{name: "a string is refused", body: `"tools/call"`, want: policies.InvalidRequest},
		{name: "jsonrpc missing is refused", body: `{"id":1,"method":"tools/list"}`, want: policies.InvalidRequest, id: "1"},
		{name: "jsonrpc 1.0 is refused", body: `{"jsonrpc":"1.0","id":1,"method":"tools/list"}`, want: policies.InvalidRequest, id: "1"},
		{name: "jsonrpc as a number is refused", body: `{"jsonrpc":2.0,"id":1,"method":"tools/list"}`, want: policies.InvalidRequest, id: "1"},
		{name: "a response is refused", body: `{"jsonrpc":"2.0","id":1,"result":{}}`, want: policies.InvalidRequest},
		{name: "an error response is refused", body: `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`, want: policies.InvalidRequest},
		{name: "a request that is a response, too, is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","result":{}}`, want: policies.InvalidRequest},
		{name: "an unknown member is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","extra":1}`, want: policies.InvalidRequest},
		{name: "a call as a notification is refused", body: `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}`, want: policies.InvalidRequest},
		{name: "a list as a notification is refused", body: `{"jsonrpc":"2.0","method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "a notification with an ID is refused", body: `{"jsonrpc":"2.0","id":1,"method":"notifications/cancelled"}`, want: policies.InvalidRequest, id: "1"},
		{name: "a notification is read", body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		{name: "positional params are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["x"]}`, want: policies.InvalidRequest, id: "1"},
		{name: "null params are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}`, want: policies.InvalidRequest, id: "1"},
		{name: "_meta that is no object is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":1}}`, want: policies.InvalidRequest, id: "1"},

		{name: "an ID of null is refused", body: `{"jsonrpc":"2.0","id":null,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "a fraction as ID is refused", body: `{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "1.0 as ID is refused", body: `{"jsonrpc":"2.0","id":1.0,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "1e3 as ID is refused", body: `{"jsonrpc":"2.0","id":1e3,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "-0 as ID is refused", body: `{"jsonrpc":"2.0","id":-0,"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "an ID beyond 64 bits is refused", body: `{"jsonrpc":"2.0","id":92233720368547758080,"method":"tools/list"}`, want: policies.Malformed},
		{name: "an object as ID is refused", body: `{"jsonrpc":"2.0","id":{},"method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "an overlong ID is refused", body: `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 257) + `","method":"tools/list"}`, want: policies.InvalidRequest},
		{name: "a string as ID is echoed", body: `{"jsonrpc":"2.0","id":"a\"\u00e9","method":"x"}`, want: policies.UnknownMethod, id: `"a\"é"`},
		{name: "a negative ID is echoed", body: `{"jsonrpc":"2.0","id":-9007199254740992,"method":"x"}`, want: policies.UnknownMethod, id: "-9007199254740992"},

		{name: "Tools/Call is unknown", body: `{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"x"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a method with a space is unknown", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"x"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a method with a NUL is unknown", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000","params":{"name":"x"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a method of another revision is unknown", body: `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, want: policies.UnknownMethod, id: "1"},
		{name: "a vendor's method is unknown", body: `{"jsonrpc":"2.0","id":1,"method":"acme/run","params":{"name":"x"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "completion by a reference is not available", body: `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"x"}}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a resource subscription is not available", body: `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x:y"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a method that is no string is refused", body: `{"jsonrpc":"2.0","id":1,"method":["tools/call"]}`, want: policies.InvalidRequest, id: "1"},

		{name: "a call without a name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, want: policies.InvalidParams, id: "1"},
		{name: "a call without params is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, want: policies.InvalidParams, id: "1"},
		{name: "an empty name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}`, want: policies.InvalidParams, id: "1"},
		{name: "a name that is an array is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["x"]}}`, want: policies.InvalidParams, id: "1"},
		{name: "a name of 256 bytes is read", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + strings.Repeat("x", 256) + `"}}`},
		{name: "a name of 257 bytes is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + strings.Repeat("x", 257) + `"}}`, want: policies.InvalidParams, id: "1"},
		{name: "a newline in a name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\nb"}}`, want: policies.InvalidParams, id: "1"},
		{name: "a NUL in a name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\u0000"}}`, want: policies.InvalidParams, id: "1"},
		{name: "a C1 control in a name is refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\u0085"}}`, want: policies.InvalidParams, id: "1"},
		{name: "null arguments are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":null}}`, want: policies.InvalidParams, id: "1"},
		{name: "arguments as an array are refused", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[]}}`, want: policies.InvalidParams, id: "1"},

		{name: "a stateless call is read", headers: stateless(), body: statelessBody("get_issue", "{}")},
		{name: "Mcp-Name that differs is a mismatch", headers: stateless(), body: statelessBody("danger", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Name that differs in case is a mismatch", headers: stateless(), body: statelessBody("Get_Issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Name in base64 is decoded first", headers: statelessWith("mcp-name", "=?base64?Z2V0X2lzc3Vl?="), body: statelessBody("get_issue", "{}")},
		{name: "Mcp-Name in base64 of another is a mismatch", headers: statelessWith("mcp-name", "=?base64?ZGFuZ2Vy?="), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Name that looks encoded is not taken literally", headers: statelessWith("mcp-name", "=?base64?Z2V0X2lzc3Vl?="), body: statelessBody("=?base64?Z2V0X2lzc3Vl?=", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Name in broken base64 is a mismatch", headers: statelessWith("mcp-name", "=?base64?Z2V0X2lzc3Vl=?="), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Name missing is a mismatch", headers: statelessWith("mcp-name", ""), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Method missing is a mismatch", headers: statelessWith("mcp-method", ""), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Method that differs is a mismatch", headers: statelessWith("mcp-method", "tools/list"), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Method twice is a mismatch", headers: stateless([2]string{"mcp-method", "tools/call"}), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch},
		{name: "Mcp-Name on a method without a name is a mismatch", headers: statelessWith("mcp-method", "tools/list"), body: strings.Replace(statelessBody("x", "{}"), "tools/call", "tools/list", 1), want: policies.HeaderMismatch, id: "1"},
		{name: "the header differing from _meta is a mismatch", headers: session(), body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "the header missing beside _meta is a mismatch", headers: session()[:1], body: statelessBody("get_issue", "{}"), want: policies.HeaderMismatch, id: "1"},
		{name: "_meta missing under 2026-07-28 is refused", headers: stateless(), body: call, want: policies.InvalidParams, id: "1"},
		{name: "a revision in _meta that is no string is refused", headers: stateless(), body: strings.Replace(statelessBody("get_issue", "{}"), `"2026-07-28"`, "1", 1), want: policies.InvalidParams, id: "1"},
		{name: "an older revision's call with headers that agree is read", headers: session([2]string{"mcp-method", "tools/call"}, [2]string{"mcp-name", "get_issue"}), body: call},
		{name: "an older revision's Mcp-Name that differs is a mismatch", headers: session([2]string{"mcp-name", "safe"}), body: call, want: policies.HeaderMismatch, id: "1"},
		{name: "an older revision's Mcp-Method that differs is a mismatch", headers: session([2]string{"mcp-method", "tools/list"}), body: call, want: policies.HeaderMismatch, id: "1"},
		{name: "ping is gone in 2026-07-28", headers: statelessWith("mcp-method", "ping"), body: strings.Replace(statelessBody("x", "{}"), "tools/call", "ping", 1), want: policies.UnknownMethod, id: "1"},
		{name: "initialize is gone in 2026-07-28", headers: statelessWith("mcp-method", "initialize"), body: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28"}}`, want: policies.UnknownMethod, id: "1"},
		{name: "a stateless notification needs no _meta", headers: [][2]string{{"content-type", "application/json"}, {"mcp-protocol-version", "2026-07-28"}, {"mcp-method", "notifications/cancelled"}}, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		{name: "a stateless response is refused", headers: stateless(), body: `{"jsonrpc":"2.0","id":1,"result":{}}`, want: policies.InvalidRequest},

		{name: "Mcp-Param that repeats an argument is fine", headers: stateless([2]string{"mcp-param-region", "eu"}), body: statelessBody("get_issue", `{"region":"eu"}`)},
		{name: "Mcp-Param is matched whatever the case of its name", headers: stateless([2]string{"mcp-param-region", "eu"}), body: statelessBody("get_issue", `{"Region":"eu"}`)},
		{name: "Mcp-Param of another name repeats some argument", headers: stateless([2]string{"mcp-param-emptyval", "eu"}), body: statelessBody("get_issue", `{"at":{"empty_val":"eu"}}`)},
		{name: "Mcp-Param that differs is a mismatch", headers: stateless([2]string{"mcp-param-region", "us"}), body: statelessBody("get_issue", `{"region":"eu"}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param that equals another argument is a mismatch", headers: stateless([2]string{"mcp-param-repo", "danger"}), body: statelessBody("get_issue", `{"repo":"safe","note":"danger"}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param that must equal two twins is a mismatch", headers: stateless([2]string{"mcp-param-repo", "x"}), body: statelessBody("get_issue", `{"repo":"x","Repo":"y"}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param without an argument is a mismatch", headers: stateless([2]string{"mcp-param-region", "eu"}), body: statelessBody("get_issue", `{}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param for a null argument is a mismatch", headers: stateless([2]string{"mcp-param-region", "null"}), body: statelessBody("get_issue", `{"region":null}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param compares numbers as numbers", headers: stateless([2]string{"mcp-param-n", "42.0"}), body: statelessBody("get_issue", `{"n":42}`)},
		{name: "Mcp-Param of true is fine", headers: stateless([2]string{"mcp-param-b", "true"}), body: statelessBody("get_issue", `{"b":true}`)},
		{name: "Mcp-Param of True is a mismatch", headers: stateless([2]string{"mcp-param-b", "True"}), body: statelessBody("get_issue", `{"b":true}`), want: policies.HeaderMismatch, id: "1"},
		{name: "Mcp-Param in base64 is decoded first", headers: stateless([2]string{"mcp-param-region", "=?base64?w6k=?="}), body: statelessBody("get_issue", `{"region":"é"}`)},
		{name: "Mcp-Param twice is a mismatch", headers: stateless([2]string{"mcp-param-a", "1"}, [2]string{"mcp-param-a", "1"}), body: statelessBody("get_issue", `{"a":1}`), want: policies.HeaderMismatch},
		{name: "Mcp-Param is checked in an older revision", headers: session([2]string{"mcp-param-repo", "c/d"}), body: call, want: policies.HeaderMismatch, id: "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := tt.headers
			if headers == nil {
				headers = session()
			}
			m, f := read(t, headers, tt.body, Settings{})
			checkFault(t, f, tt.want, tt.id)
			if f == nil && m.Class == ByName && m.Name == "" {
				t.Error("a call was read without its name")
			}
		})
	}
}

// statelessWith is stateless with one header set, or left out when it is empty.
func statelessWith(name, value string) [][2]string {
	var list [][2]string
	for _, kv := range stateless() {
		switch {
		case kv[0] != name:
			list = append(list, kv)
		case value != "":
			list = append(list, [2]string{name, value})
		}
	}
	return list
}

func checkFault(t *testing.T, f *Fault, want policies.Reason, id string) {
	t.Helper()
	got := policies.ReasonNone
	var gotID string
	if f != nil {
		got, gotID = f.Reason, string(f.ID)
	}
	if got != want {
		t.Fatalf("reason = %q, want %q (%+v)", got, want, f)
	}
	if gotID != id {
		t.Errorf("fault's ID = %s, want %s", gotID, id)
	}
}

func TestReadTakesTheMessageAsItIs(t *testing.T) {
	m, f := read(t, session(), `{"jsonrpc":"2.0","id":"7","method":"tools/call","params":{"name":"Delete_Repo","arguments":{"repo":"a/../b","__proto__":{"x":1}}}}`, Settings{})
	if f != nil {
		t.Fatalf("fault %+v", f)
	}
	if m.Revision != R20251125 || m.Kind != policies.MCPRequest || m.Class != ByName || m.Method != "tools/call" || m.Name != "Delete_Repo" || string(m.ID) != `"7"` {
		t.Errorf("message = %+v", m)
	}
	if got, want := m.Arguments.String(), `{"__proto__":{"x":1},"repo":"a/../b"}`; got != want {
		t.Errorf("arguments = %s, want %s", got, want)
	}
}

func TestReadLeavesArgumentsUndefined(t *testing.T) {
	m, f := read(t, session(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, Settings{})
	if f != nil || m.Arguments.Kind() != engine.KindUndefined {
		t.Errorf("arguments = %v, fault = %+v", m.Arguments, f)
	}
}
