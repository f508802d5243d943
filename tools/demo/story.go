package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/plugins/snapshot"
	"keyward/tools/demo/upstream"
)

// A teller tells the story step by step; the first step that does not hold ends
// it.
type teller struct {
	out   io.Writer
	stage *Stage
	w     *worker
	s     *mcp.ClientSession
	heard strings.Builder // all that the Worker was ever told
}

// A step is one thing that must hold. tell returns what was seen.
type step struct {
	title string
	tell  func(ctx context.Context) (string, error)
}

// Tell plays the story once on a stage that is up.
func Tell(ctx context.Context, stage *Stage, out io.Writer) error {
	t := &teller{out: out, stage: stage, w: newWorker(stage.Gateway, stage.secrets.worker)}
	defer func() {
		if t.s != nil {
			_ = t.s.Close()
		}
	}()
	steps := []step{
		{"the Worker lists its tools and sees only its own", t.list},
		{"it reads an issue, as it was granted", t.read},
		{"it tries to delete a repository, and is told that it may not", t.delete},
		{"it opens an issue in its own repository", t.create},
		{"it tries another repository: same tool, other argument", t.createElsewhere},
		{"a tool echoes the key it was sent: the Worker gets stars", t.echo},
		{"it asks the LLM, whose key it never sees", t.chat},
		{"its token is worth nothing without the gateway", t.direct},
		{"without a token the gateway refuses", t.anonymous},
		{"the admin suspends the Worker: cut off, nothing restarted", t.suspend},
		{"no real key was in anything that the Worker was told", t.nothingHeard},
	}
	for i, s := range steps {
		fmt.Fprintf(out, "%2d  %s\n", i+1, s.title)
		seen, err := s.tell(ctx)
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, s.title, err)
		}
		fmt.Fprintf(out, "    %s\n", seen)
	}
	return nil
}

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

// patience bounds how long the gateway may take to read a new snapshot file.
const patience = 10 * time.Second

func (t *teller) suspend(ctx context.Context) (string, error) {
	begin := time.Now()
	if err := t.stage.setState(snapshot.Suspended); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		status, said, err := t.w.chat(ctx, "am I still here?")
		if err != nil {
			return "", fmt.Errorf("still not cut off: %w", err)
		}
		t.heard.WriteString(said)
		if status == 401 && strings.Contains(said, "consumer_suspended") {
			return fmt.Sprintf("401 consumer_suspended, %d ms after the snapshot file changed", time.Since(begin).Milliseconds()), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (t *teller) nothingHeard(context.Context) (string, error) {
	for _, key := range []string{t.stage.secrets.mcpKey, t.stage.secrets.llmKey} {
		if strings.Contains(t.heard.String(), key) {
			return "", errors.New("a real key reached the Worker")
		}
	}
	return fmt.Sprintf("searched %d bytes", t.heard.Len()), nil
}
