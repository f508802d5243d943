package admission

import (
	"keyward/plugins/mcp"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/engine"
)

// parties are a consumer's and a target's parts of an input, which stay the
// same from request to request.
type parties struct {
	consumer, target, grants engine.Value
	until                    int64 // Unix seconds when a grant ends; 0: none does
}

// maxParties bounds the cache; beyond it the cache starts anew, which costs
// some microseconds a pair.
const maxParties = 4096

type partyKey struct {
	consumer *snapshot.Consumer
	target   *snapshot.Target
}

// inputs builds what the policy sees; see policies.Input.
type inputs struct {
	parties map[partyKey]*parties
}

func (in *inputs) of(c *snapshot.Consumer, t *snapshot.Target, now int64) *parties {
	key := partyKey{c, t}
	if p := in.parties[key]; p != nil && (p.until == 0 || seconds(now) < p.until) {
		return p
	}
	if in.parties == nil || len(in.parties) >= maxParties {
		in.parties = make(map[partyKey]*parties)
	}
	p := &parties{
		consumer: party(c.ID, c.Kind, c.Labels),
		target:   party(t.ID, string(t.Kind), t.Labels),
	}
	p.grants, p.until = grants(c.Grants, t.ID, seconds(now))
	in.parties[key] = p
	return p
}

// grants are the unexpired ones on a target, and when the first of them ends.
func grants(all []snapshot.Grant, target string, now int64) (engine.Value, int64) {
	var list []engine.Value
	var until int64
	for i := range all {
		g := &all[i]
		if g.Target != target || g.Expires != 0 && g.Expires <= now {
			continue
		}
		if g.Expires != 0 && (until == 0 || g.Expires < until) {
			until = g.Expires
		}
		list = append(list, grant(&g.Grant))
	}
	return engine.Array(list), until
}

func grant(g *policies.Grant) engine.Value {
	var b engine.ObjectBuilder
	b.Set("id", engine.String(g.ID))
	b.Set("tools", list(g.Tools))
	b.Set("prompts", list(g.Prompts))
	b.Set("resources", list(g.Resources))
	b.Set("methods", list(g.Methods))
	b.Set("paths", list(g.Paths))
	if g.Expires != 0 {
		b.Set("expires", engine.Int(g.Expires))
	}
	if len(g.Arguments) > 0 {
		b.Set("arguments", constraints(g.Arguments))
	}
	return b.Value()
}

func constraints(tools map[string]map[string][]any) engine.Value {
	var b engine.ObjectBuilder
	for tool, arguments := range tools {
		var args engine.ObjectBuilder
		for name, values := range arguments {
			args.Set(name, array(values))
		}
		b.Set(tool, args.Value())
	}
	return b.Value()
}

// The names of an input's members, made once: building an input is on the path
// of every request. Members are written in sort order, which is cheapest.
var (
	keyArguments = engine.String("arguments")
	keyConsumer  = engine.String("consumer")
	keyGrants    = engine.String("grants")
	keyHost      = engine.String("host")
	keyHTTP      = engine.String("http")
	keyID        = engine.String("id")
	keyKind      = engine.String("kind")
	keyLabels    = engine.String("labels")
	keyListing   = engine.String("listing")
	keyMCP       = engine.String("mcp")
	keyMethod    = engine.String("method")
	keyName      = engine.String("name")
	keyPath      = engine.String("path")
	keyQuery     = engine.String("query")
	keyRevision  = engine.String("revision")
	keySegments  = engine.String("segments")
	keyTarget    = engine.String("target")
)

// An inputRoom is memory for one stream's input, which the next one overwrites.
type inputRoom struct {
	all      [6]engine.Member
	call     [6]engine.Member
	http     [5]engine.Member
	segments [8]engine.Value
}

// input puts together what the policy sees; msg is undefined but for MCP. It is of
// use until the next in the same room.
func (p *parties) input(in *inputRoom, kind policies.Kind, http, msg engine.Value) engine.Value {
	in.all = [...]engine.Member{
		{Key: keyConsumer, Value: p.consumer},
		{Key: keyGrants, Value: p.grants},
		{Key: keyHTTP, Value: http},
		{Key: keyKind, Value: engine.String(string(kind))},
		{Key: keyMCP, Value: msg},
		{Key: keyTarget, Value: p.target},
	}
	return engine.Object(in.all[:])
}

// message is an MCP message as the policy sees it.
func (in *inputRoom) message(m *mcp.Message) engine.Value {
	in.call = [...]engine.Member{
		{Key: keyArguments, Value: m.Arguments},
		{Key: keyKind, Value: engine.String(string(m.Kind))},
		{Key: keyListing, Value: engine.Bool(false)},
		{Key: keyMethod, Value: text(m.Method)},
		{Key: keyName, Value: text(m.Name)},
		{Key: keyRevision, Value: engine.String(string(m.Revision))},
	}
	return engine.Object(in.call[:])
}

// entryInput asks whether a tool may be listed: the same question as its call,
// but for the arguments, which are not known yet.
func entryInput(rev mcp.Revision, tool string) engine.Value {
	return engine.Object([]engine.Member{
		{Key: keyKind, Value: engine.String(string(policies.MCPRequest))},
		{Key: keyListing, Value: engine.Bool(true)},
		{Key: keyMethod, Value: engine.String("tools/call")},
		{Key: keyName, Value: engine.String(tool)},
		{Key: keyRevision, Value: engine.String(string(rev))},
	})
}

// request is the request line as the policy sees it; query is undefined where it is
// not shown.
func (in *inputRoom) request(r *request, query engine.Value) engine.Value {
	segments := in.segments[:0]
	for _, s := range r.segments {
		segments = append(segments, engine.String(s))
	}
	in.http = [...]engine.Member{
		{Key: keyHost, Value: engine.String(r.host)},
		{Key: keyMethod, Value: engine.String(r.method)},
		{Key: keyPath, Value: engine.String(r.path)},
		{Key: keyQuery, Value: query},
		{Key: keySegments, Value: engine.Array(segments)},
	}
	return engine.Object(in.http[:])
}

// queryInput reads query parameters as the policy sees them. It refuses what
// two parsers could read differently.
func queryInput(raw string) (engine.Value, bool) {
	if raw == "" {
		return engine.Value{}, true
	}
	list, ok := parameters(raw)
	if !ok {
		return engine.Value{}, false
	}
	values := make(map[string][]engine.Value, len(list))
	for _, p := range list {
		values[p.name] = append(values[p.name], engine.String(p.value))
	}
	var b engine.ObjectBuilder
	for name, v := range values {
		b.Set(name, engine.Array(v))
	}
	return b.Value(), true
}

func party(id, kind string, labels map[string]string) engine.Value {
	var b engine.ObjectBuilder
	for name, v := range labels {
		b.Set(name, engine.String(v))
	}
	return engine.Object([]engine.Member{
		{Key: keyID, Value: engine.String(id)},
		{Key: keyKind, Value: engine.String(kind)},
		{Key: keyLabels, Value: b.Value()},
	})
}

// text is undefined for "".
func text(s string) engine.Value {
	if s == "" {
		return engine.Value{}
	}
	return engine.String(s)
}

// list is undefined for nil.
func list(ss []string) engine.Value {
	if ss == nil {
		return engine.Value{}
	}
	elems := make([]engine.Value, len(ss))
	for i, s := range ss {
		elems[i] = engine.String(s)
	}
	return engine.Array(elems)
}

// value is a decoded JSON value as the engine sees it. A number beyond what the
// engine can hold is undefined, which equals nothing.
func value(v any) engine.Value {
	switch v := v.(type) {
	case bool:
		return engine.Bool(v)
	case string:
		return engine.String(v)
	case policies.Number:
		n, _ := engine.Number(string(v))
		return n
	case []any:
		return array(v)
	case map[string]any:
		var b engine.ObjectBuilder
		for name, e := range v {
			b.Set(name, value(e))
		}
		return b.Value()
	default:
		return engine.Null
	}
}

// array leaves out undefined elements.
func array(values []any) engine.Value {
	elems := make([]engine.Value, 0, len(values))
	for _, v := range values {
		if e := value(v); !e.IsUndefined() {
			elems = append(elems, e)
		}
	}
	return engine.Array(elems)
}
