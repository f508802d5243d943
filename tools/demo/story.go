package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/manager"
	"keyward/manager/client"
)

// A teller tells the story step by step; the first step that does not hold ends
// it.
type teller struct {
	out   io.Writer
	stage *Stage
	n     int // steps so far

	token manager.Token // the Worker's, as the Manager knows it
	grant manager.Grant // for the MCP server
	w     *worker
	s     *mcp.ClientSession
	heard strings.Builder // all that the Workers were ever told

	imageID string // of the Worker in a container
	leaked  string // its token, as the engine knows it
}

// A chapter is a part of the story: one file each.
type chapter struct {
	title string
	needs func(*Stage) error // says what is missing for it; nil: nothing can be
	steps []step
}

// A step is one thing that must hold. tell returns what was seen.
type step struct {
	title string
	tell  func(*teller, context.Context) (string, error)
}

// Tell plays the whole story on a stage that is up.
func Tell(ctx context.Context, stage *Stage, out io.Writer) error {
	return tell(ctx, stage, out, beginning, working, changing, container, rooms, leaving)
}

// Prepare plays the beginning alone, after which the Worker may work.
func Prepare(ctx context.Context, stage *Stage, out io.Writer) error {
	return tell(ctx, stage, out, beginning)
}

func tell(ctx context.Context, stage *Stage, out io.Writer, chapters ...chapter) error {
	t := &teller{out: out, stage: stage}
	defer func() {
		if t.s != nil {
			_ = t.s.Close()
		}
	}()
	for _, c := range chapters {
		fmt.Fprintf(out, "\n%s\n", c.title)
		if c.needs != nil {
			if err := c.needs(stage); err != nil {
				fmt.Fprintf(out, "    %s%v\n", leftOut, err)
				continue
			}
		}
		for _, s := range c.steps {
			t.n++
			fmt.Fprintf(out, "%2d  %s\n", t.n, s.title)
			seen, err := s.tell(t, ctx)
			if err != nil {
				return fmt.Errorf("step %d, %s: %w", t.n, s.title, err)
			}
			fmt.Fprintf(out, "    %s\n", seen)
		}
	}
	return nil
}

// wait asks for an answer that comes when every gateway has the change in force.
var wait = client.Request{Wait: true}

// inForce says how long a change took that was asked for with [wait].
func inForce(begin time.Time, c client.Change, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case !c.InForce || c.Gateways == 0:
		return "", errors.New("no gateway has it in force")
	default:
		return fmt.Sprintf("in force on every worker thread after %d ms, generation %d", time.Since(begin).Milliseconds(), c.Generation), nil
	}
}
