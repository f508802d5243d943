package mcp

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"keyward/policies"
)

// only keeps the tools named.
func only(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func every(string) bool { return true }

// listOf is an answer to tools/list with these tools.
func listOf(names ...string) string {
	var tools []string
	for _, n := range names {
		tools = append(tools, `{"name":"`+n+`","inputSchema":{"type":"object"}}`)
	}
	return `{"jsonrpc":"2.0","id":1,"result":{"tools":[` + strings.Join(tools, ",") + `]}}`
}

func TestFilterList(t *testing.T) {
	tests := []struct {
		name string
		body string
		keep func(string) bool
		want string // "": as body
		err  policies.Reason
	}{
		{name: "all are kept", body: listOf("a", "b"), keep: every},
		{name: "none is kept", body: listOf("a", "b"), keep: only(), want: listOf()},
		{name: "the first goes", body: listOf("a", "b", "c"), keep: only("b", "c"), want: listOf("b", "c")},
		{name: "the last goes", body: listOf("a", "b", "c"), keep: only("a", "b"), want: listOf("a", "b")},
		{name: "the middle goes", body: listOf("a", "b", "c"), keep: only("a", "c"), want: listOf("a", "c")},
		{name: "the first two go", body: listOf("a", "b", "c"), keep: only("c"), want: listOf("c")},
		{name: "the last two go", body: listOf("a", "b", "c"), keep: only("a"), want: listOf("a")},
		{name: "an empty list", body: listOf(), keep: only()},
		{
			name: "white space and numbers stay as they are",
			body: "{ \"jsonrpc\" : \"2.0\",\n \"id\":1, \"result\":{\n \"tools\" : [ {\"name\":\"a\",\"n\":1.50} ,\n {\"name\":\"b\"} , {\"name\":\"c\"} ], \"nextCursor\":\"\" } }\n",
			keep: only("a", "c"),
			want: "{ \"jsonrpc\" : \"2.0\",\n \"id\":1, \"result\":{\n \"tools\" : [ {\"name\":\"a\",\"n\":1.50} , {\"name\":\"c\"} ], \"nextCursor\":\"\" } }\n",
		},
		{
			name: "a public answer becomes private",
			body: `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","cacheScope":"public","ttlMs":300,"tools":[{"name":"a"}]}}`, keep: every,
			want: `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","cacheScope":"private","ttlMs":300,"tools":[{"name":"a"}]}}`,
		},
		{
			name: "a public answer becomes private also after its tools",
			body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"cacheScope": "public" }}`, keep: only(),
			want: `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"cacheScope": "private" }}`,
		},
		{name: "a private answer stays", body: `{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"private","tools":[]}}`, keep: every},
		{name: "a name is compared as decoded", body: listOf(`\u0061`), keep: only("b"), want: listOf()},
		{name: "a name that can't be called goes", body: listOf(`a\n`, "b", ""), keep: every, want: listOf("b")},
		{name: "an error response passes", body: `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}`, keep: only()},
		{name: "an error response without an ID passes", body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`, keep: only()},
		{
			name: "names within a schema are nobody's business",
			body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"inputSchema":{"properties":{"Name":{},"tools":{}}},"name":"a"}]}}`, keep: only("a"),
		},

		{name: "an error response to another", body: `{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"x"}}`, err: policies.AnswerRefused},
		{name: "a result of another", body: `{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}`, err: policies.AnswerRefused},
		{name: "an ID of another type", body: `{"jsonrpc":"2.0","id":"1","result":{"tools":[]}}`, err: policies.AnswerRefused},
		{name: "no ID", body: `{"jsonrpc":"2.0","result":{"tools":[]}}`, err: policies.AnswerRefused},
		{name: "an ID of null", body: `{"jsonrpc":"2.0","id":null,"result":{"tools":[]}}`, err: policies.AnswerRefused},
		{name: "result and error", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"error":{}}`, err: policies.AnswerRefused},
		{name: "neither result nor error", body: `{"jsonrpc":"2.0","id":1}`, err: policies.AnswerRefused},
		{name: "a request of the server", body: `{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}`, err: policies.AnswerRefused},
		{name: "a notification in place of the answer", body: `{"jsonrpc":"2.0","method":"notifications/message"}`, err: policies.AnswerRefused},
		{name: "a batch", body: "[" + listOf("a") + "]", err: policies.AnswerRefused},
		{name: "two values", body: listOf("a") + listOf("b"), err: policies.AnswerRefused},
		{name: "a byte order mark", body: "\xef\xbb\xbf" + listOf("a"), err: policies.AnswerRefused},
		{name: "nothing", body: "", err: policies.AnswerRefused},
		{name: "noise, as of a compressed answer", body: "\x1f\x8b\x08\x00", err: policies.AnswerRefused},
		{name: "jsonrpc missing", body: `{"id":1,"result":{"tools":[]}}`, err: policies.AnswerRefused},
		{name: "no tools", body: `{"jsonrpc":"2.0","id":1,"result":{}}`, err: policies.AnswerRefused},
		{name: "tools that are no array", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"a"}}}`, err: policies.AnswerRefused},
		{name: "tools twice", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"a"}]}}`, err: policies.AnswerRefused},
		{name: "an escaped twin of tools", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"t\u006fols":[{"name":"a"}]}}`, err: policies.AnswerRefused},
		{name: "Tools", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[{"name":"a"}]}}`, err: policies.AnswerRefused},
		{name: "Result", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"Result":{"tools":[{"name":"a"}]}}`, err: policies.AnswerRefused},
		{name: "Name", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","Name":"b"}]}}`, err: policies.AnswerRefused},
		{name: "a tool twice", body: listOf("a", "a"), err: policies.AnswerRefused},
		{name: "a tool without a name", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"title":"a"}]}}`, err: policies.AnswerRefused},
		{name: "a name that is no string", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":1}]}}`, err: policies.AnswerRefused},
		{name: "a tool that is no object", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":["a"]}}`, err: policies.AnswerRefused},
		{name: "a name twice within a schema", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","inputSchema":{"x":1,"x":2}}]}}`, err: policies.AnswerRefused},
		{name: "a schema nested too deeply", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","inputSchema":` + strings.Repeat(`{"a":`, 100_000) + `1` + strings.Repeat(`}`, 100_000) + `}]}}`, err: policies.AnswerRefused},
		{name: "a schema with too many members", body: `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","inputSchema":[0` + strings.Repeat(",0", 200_000) + `]}]}}`, err: policies.AnswerRefused},
		{name: "an answer beyond its bound", body: listOf(strings.Repeat("a", policies.MaxAnswerBytes)), err: policies.AnswerTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keep := tt.keep
			if keep == nil {
				keep = every
			}
			got, f := FilterList([]byte(tt.body), []byte("1"), keep)
			checkFault(t, f, tt.err, "")
			if f != nil {
				return
			}
			if want := cmpOr(tt.want, tt.body); string(got) != want {
				t.Errorf("FilterList() = %s\nwant %s", got, want)
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestAnswerMedia(t *testing.T) {
	for contentType, want := range map[string]Media{
		"application/json":                    JSONMedia,
		"Application/JSON; charset=utf-8":     JSONMedia,
		"text/event-stream":                   StreamMedia,
		"text/event-stream;charset=utf-8":     StreamMedia,
		" text/event-stream ":                 StreamMedia,
		"application/json-rpc":                MixedMedia,
		"text/plain":                          OtherMedia,
		"":                                    OtherMedia,
		"application/json,text/html":          MixedMedia,
		"text/html; x=application/json":       MixedMedia,
		"application/problem+json":            MixedMedia,
		"multipart/mixed;text/event-stream":   MixedMedia,
		"application/json;text/Event-Stream":  MixedMedia,
		"application/json, text/event-stream": MixedMedia,
		"text/event-streams":                  MixedMedia,
	} {
		if got := AnswerMedia(contentType); got != want {
			t.Errorf("AnswerMedia(%q) = %d, want %d", contentType, got, want)
		}
	}
}

// FuzzFilterList holds the filter to its laws: what comes out is JSON without a
// refused tool, and all of it when none is refused.
func FuzzFilterList(f *testing.F) {
	f.Add(listOf("a", "b", "c"), uint8(2))
	f.Add(`{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"public","tools":[ {"name":"x"} , {"name":"y"}]}}`, uint8(1))
	f.Add(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`, uint8(3))
	f.Add(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","Name":"b"}]}}`, uint8(0))
	f.Fuzz(func(t *testing.T, body string, seed uint8) {
		keep := func(name string) bool { return (len(name)+int(name[0])+int(seed))%2 == 0 }
		in := []byte(body)
		got, fault := FilterList(in, []byte("1"), keep)
		if string(in) != body {
			t.Fatal("the answer was changed in place")
		}
		if fault != nil {
			return
		}
		var out struct {
			Result struct {
				Tools      []struct{ Name string }
				CacheScope string
			}
		}
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("%s\nbecame %s: %v", body, got, err)
		}
		for _, tool := range out.Result.Tools {
			if tool.Name == "" || !keep(tool.Name) {
				t.Fatalf("%q is still in %s", tool.Name, got)
			}
		}
		if s := out.Result.CacheScope; s != "" && s != "private" {
			t.Fatalf("cacheScope is %q", s)
		}
		again, fault := FilterList(got, []byte("1"), keep)
		if fault != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s\nfiltered again becomes %s (%+v)", got, again, fault)
		}
	})
}
