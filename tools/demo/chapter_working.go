package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyward/tools/demo/upstream"
)

// working is what the Worker does, may not do, and never gets to see.
var working = chapter{title: "The Worker works, with one token and the gateway's address", steps: []step{
	{"it lists its tools and sees only its own", (*teller).list},
	{"it reads an issue, as it was granted", (*teller).read},
	{"it tries to delete a repository, and is told that it may not", (*teller).delete},
	{"it opens an issue in its own repository", (*teller).create},
	{"it tries another repository: same tool, other argument", (*teller).createElsewhere},
	{"a tool echoes the key it was sent: the Worker gets stars", (*teller).echo},
	{"it asks the LLM, whose key it never sees", (*teller).chat},
	{"its token is worth nothing without the gateway", (*teller).direct},
	{"without a token the gateway refuses", (*teller).anonymous},
}}

func (t *teller) list(ctx context.Context) (string, error) {
	var err error
	if t.s, err = t.w.connect(ctx); err != nil {
		return "", err
	}
	names, err := tools(ctx, t.s)
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	want := []string{upstream.ToolEcho, upstream.ToolCreate, upstream.ToolRead}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		return "", fmt.Errorf("it sees %q, want %q", names, want)
	}
	return "sees " + strings.Join(names, ", ") + "; " + upstream.ToolDelete + " is hidden", nil
}

func (t *teller) read(ctx context.Context) (string, error) {
	return t.call(ctx, upstream.ToolRead, map[string]any{"repository": repository, "number": 7})
}

func (t *teller) delete(ctx context.Context) (string, error) {
	return t.refused(ctx, upstream.ToolDelete, map[string]any{"repository": repository})
}

func (t *teller) create(ctx context.Context) (string, error) {
	return t.call(ctx, upstream.ToolCreate, map[string]any{"repository": repository, "title": "a draught"})
}

func (t *teller) createElsewhere(ctx context.Context) (string, error) {
	return t.refused(ctx, upstream.ToolCreate, map[string]any{"repository": "acme/payroll", "title": "a draught"})
}

func (t *teller) echo(ctx context.Context) (string, error) {
	said, err := t.call(ctx, upstream.ToolEcho, map[string]any{})
	if err == nil && !strings.Contains(said, "***") {
		return "", errors.New("the echoed key is not blanked")
	}
	return said, err
}

// call expects a tool to answer.
func (t *teller) call(ctx context.Context, tool string, arguments map[string]any) (string, error) {
	said, err := call(ctx, t.s, tool, arguments)
	t.heard.WriteString(said)
	return said, err
}

// refused expects a permission error, and a server that never hears of it.
func (t *teller) refused(ctx context.Context, tool string, arguments map[string]any) (string, error) {
	before := t.stage.mcp.Accepted.Load()
	_, err := call(ctx, t.s, tool, arguments)
	if err == nil {
		return "", errors.New("the call went through")
	}
	t.heard.WriteString(err.Error())
	reason, ok := denied(err)
	if !ok {
		return "", fmt.Errorf("not a permission error: %w", err)
	}
	if t.stage.mcp.Accepted.Load() != before {
		return "", errors.New("the server was asked all the same")
	}
	return fmt.Sprintf("error %q, reason %s; the server never heard of it", err, reason), nil
}

func (t *teller) chat(ctx context.Context) (string, error) {
	status, said, err := t.w.chat(ctx, "hello")
	t.heard.WriteString(said)
	if err != nil {
		return "", err
	}
	if status != 200 || !strings.Contains(said, "You said: hello") {
		return "", fmt.Errorf("the LLM answered %d %q", status, said)
	}
	return `"You said: hello"`, nil
}

func (t *teller) direct(ctx context.Context) (string, error) {
	status, said, err := t.w.post(ctx, t.stage.llmURL+"/v1/chat/completions", t.w.token, []byte(`{}`))
	if err == nil && status != 401 {
		err = fmt.Errorf("the provider answered %d", status)
	}
	return "the provider itself: 401 " + strings.TrimSpace(said), err
}

func (t *teller) anonymous(ctx context.Context) (string, error) {
	status, said, err := t.w.post(ctx, t.stage.Gateway+llmPath+"/chat/completions", "", []byte(`{}`))
	if err == nil && (status != 401 || !strings.Contains(said, "token_missing")) {
		err = fmt.Errorf("the gateway answered %d %q", status, said)
	}
	return "401 token_missing", err
}
