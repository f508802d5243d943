// Command topdown is a proxy-wasm plugin with OPA's own evaluator inside: what
// an author gets who compiles OPA into a plugin. It decides the same policy on
// the same input as Keyward's gate, so that the two can be compared.
//
// It takes the identity and the grants from its configuration, and neither
// checks a token nor reads strictly: the comparison leans in its favour.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

func main() {}

func init() { proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} }) }

// maxBody bounds the request body that is read, in bytes.
const maxBody = 1 << 20

// A config is the plugin configuration.
type config struct {
	Policy string         `json:"policy"` // Rego source of package keyward
	Input  map[string]any `json:"input"`  // kind, consumer, target and grants of every request
}

type plugin struct {
	types.DefaultPluginContext
	query rego.PreparedEvalQuery
	input map[string]any
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	if err := p.configure(); err != nil {
		proxywasm.LogCritical(err.Error())
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) configure() error {
	raw, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	p.input = c.Input
	p.query, err = rego.New(
		rego.Query("allow := data.keyward.allow; deny := data.keyward.deny; ask := data.keyward.ask"),
		rego.Module("policy.rego", c.Policy),
	).PrepareForEval(context.Background())
	return err
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	http   map[string]any
}

func (s *stream) OnHttpRequestHeaders(_ int, end bool) types.Action {
	headers, err := proxywasm.GetHttpRequestHeaders()
	if err != nil || end {
		return refuse()
	}
	s.http = requestLine(headers)
	return types.HeaderStopIteration
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	if !end {
		return types.ActionPause
	}
	return s.decide(size)
}

func (s *stream) OnHttpRequestTrailers(int) types.Action { return s.decide(maxBody) }

func (s *stream) decide(size int) types.Action {
	body, err := proxywasm.GetHttpRequestBody(0, min(size, maxBody))
	if err != nil {
		return refuse()
	}
	allowed, err := s.plugin.allow(s.http, body)
	if err != nil {
		proxywasm.LogError(err.Error())
	}
	if !allowed {
		return refuse()
	}
	return types.ActionContinue
}

func refuse() types.Action {
	if err := proxywasm.SendHttpResponse(403, nil, nil, -1); err != nil {
		proxywasm.LogError(err.Error())
	}
	return types.ActionPause
}

// A call is the part of an MCP request that the policy sees.
type call struct {
	Method string `json:"method"`
	Params struct {
		Name      string `json:"name"`
		Arguments any    `json:"arguments"`
	} `json:"params"`
}

// allow asks the policy about one MCP request.
func (p *plugin) allow(http map[string]any, body []byte) (bool, error) {
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		return false, err
	}
	input := make(map[string]any, len(p.input)+2)
	for k, v := range p.input {
		input[k] = v
	}
	input["http"] = http
	input["mcp"] = map[string]any{
		"revision": "2025-11-25", "kind": "request", "listing": false,
		"method": c.Method, "name": c.Params.Name, "arguments": c.Params.Arguments,
	}
	value, err := ast.InterfaceToValue(input)
	if err != nil {
		return false, err
	}
	results, err := p.query.Eval(context.Background(), rego.EvalParsedInput(value))
	if err != nil {
		return false, err
	}
	if len(results) != 1 {
		return false, errors.New("policy: no single result")
	}
	answer := results[0].Bindings
	reasons, ok := answer["deny"].([]any)
	return answer["allow"] == true && answer["ask"] == false && ok && len(reasons) == 0, nil
}

// requestLine is input.http for headers.
func requestLine(headers [][2]string) map[string]any {
	line := map[string]any{}
	for _, h := range headers {
		switch h[0] {
		case ":method":
			line["method"] = h[1]
		case ":authority":
			line["host"] = h[1]
		case ":path":
			path, _, _ := strings.Cut(h[1], "?")
			line["path"] = path
			segments := []any{}
			for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
				segments = append(segments, s)
			}
			line["segments"] = segments
		}
	}
	return line
}
