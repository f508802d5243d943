package api

import (
	"bytes"
	"cmp"
	"html/template"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// docs is one page without script: what an administrator's browser loads from
// the Manager must not come from anywhere else.
var docs = template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Info.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font: 14px/1.5 ui-monospace, monospace; }
section { border-top: 1px solid #8888; padding: .5rem 0; }
table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
</style>
<h1>{{.Info.Title}}</h1>
<p>{{.Info.Description}}</p>
<p>The whole description, with all schemas: <a href="/openapi.json">openapi.json</a></p>
{{range .Operations}}<section>
<h2><code>{{.Method}} {{.Path}}</code></h2>
<p>{{.Summary}}. {{.Description}}</p>
{{if .Parameters}}<table>{{range .Parameters}}<tr><td><code>{{.Name}}</code><td>{{.In}}<td>{{.Description}}{{end}}</table>{{end}}
{{range .Properties}}<table>{{range .}}<tr><td><code>{{.Name}}</code><td>body<td>{{.Description}}{{end}}</table>{{end}}
</section>
{{end}}`))

type property struct{ Name, Description string }

type documented struct {
	*huma.Operation
	Properties [][]property // of the body; none, or one list
}

// docsPage renders the API's description for people.
func docsPage(o *huma.OpenAPI) ([]byte, error) {
	var ops []documented
	for _, item := range o.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				ops = append(ops, documented{op, properties(o, op)})
			}
		}
	}
	slices.SortFunc(ops, func(a, b documented) int {
		return cmp.Or(cmp.Compare(a.Tags[0], b.Tags[0]), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	var b bytes.Buffer
	err := docs.Execute(&b, struct {
		*huma.OpenAPI
		Operations []documented
	}{o, ops})
	return b.Bytes(), err
}

func properties(o *huma.OpenAPI, op *huma.Operation) [][]property {
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		return nil
	}
	s := op.RequestBody.Content["application/json"].Schema
	if s.Ref != "" {
		s = o.Components.Schemas.SchemaFromRef(s.Ref)
	}
	var list []property
	for name, p := range s.Properties {
		list = append(list, property{name, p.Description})
	}
	slices.SortFunc(list, func(a, b property) int { return cmp.Compare(a.Name, b.Name) })
	return [][]property{list}
}
