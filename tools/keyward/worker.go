package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var workerNoun = noun[manager.WatchedWorker]{
	words: "worker", a: "a Worker", example: "researcher", ids: workerIDs,
	view: view[manager.WatchedWorker]{"ID STATE HEALTH IMAGE TOKEN PROBLEM CREATED", func(w manager.WatchedWorker) []string {
		return []string{w.ID, workerState(w.Worker), string(w.Health.State), shortImage(w.Image), w.TokenID, w.Problem, timeCell(w.Created)}
	}},
}

// workerState is what a Worker is, in a word.
func workerState(w manager.Worker) string {
	switch {
	case w.Task != "":
		return string(w.Task)
	case w.Problem != "" && !w.Has(manager.DoneContainer):
		return "failed"
	case w.Asleep:
		return "asleep"
	case w.Suspended:
		return "suspended"
	default:
		return "as wanted"
	}
}

// shortImage keeps the digest's first 12 digits.
func shortImage(image string) string {
	const digest = 64
	if len(image) > digest {
		return image[:len(image)-digest+12]
	}
	return image
}

// newWorker is the command that handles Workers.
func newWorker() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Create, watch, change and delete Workers in containers",
	}
	cmd.AddCommand(
		newWorkerCreate(), newWorkerGet(), newWorkerLogs(), newWorkerUpdate(), newWorkerRotate(), newWorkerDelete(),
		newWorkerList(), newWorkerHealth(),
		workerAction("suspend", "Cut a Worker off and stop its container, until it is resumed", (*client.Client).SuspendWorker),
		workerAction("resume", "Let a suspended Worker go on", (*client.Client).ResumeWorker),
		workerAction("wake", "Wake a Worker that was put to sleep because it had nothing to do", (*client.Client).WakeWorker),
		workerAction("reset", "End a Worker's tokens, and give it another and a fresh container; files and room stay", (*client.Client).ResetWorker),
	)
	return cmd
}

var workerStatusView = view[manager.WorkerStatus]{"ID STATE CONTAINER STARTED TOKEN-ISSUED RESTART PROBLEM", func(st manager.WorkerStatus) []string {
	phase, started, issued := "none", "", ""
	if i := st.Instance; i != nil {
		phase, started = string(i.Phase), timeCell(i.Started)
		if i.Detail != "" {
			phase += " (" + i.Detail + ")"
		}
	}
	if st.Token != nil {
		issued = timeCell(st.Token.Created)
	}
	return []string{st.Worker.ID, workerState(st.Worker), phase, started, issued, timeCell(st.Worker.RestartAt), st.Worker.Problem}
}}

func newWorkerGet() *cobra.Command {
	return apiCommand(workerNoun.one(&cobra.Command{
		Use:     "get",
		Short:   "Show a Worker and the facts of its container",
		Example: workerNoun.usage("get", " -o yaml"),
	}), func(s *session) error {
		st, err := s.api.WorkerStatus(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		return printOne(s, workerStatusView, st)
	})
}

func newWorkerLogs() *cobra.Command {
	var lines int
	cmd := apiCommand(workerNoun.one(&cobra.Command{
		Use:   "logs",
		Short: "Print the end of what a Worker wrote",
		Long: `Print the end of what a Worker wrote, at most 1 MiB. It is the Worker's own text:
control characters are shown escaped.`,
		Example: workerNoun.usage("logs", " --lines 20"),
	}), func(s *session) error {
		b, err := s.api.WorkerLogs(s.ctx(), s.args[0], lines)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(s.cmd.OutOrStdout(), harmless(string(b)))
		return err
	})
	cmd.Flags().IntVar(&lines, "lines", 100, "how many at most, up to 10000")
	return cmd
}

func newWorkerRotate() *cobra.Command {
	var overlap time.Duration
	cmd := changeCommand(workerNoun.one(&cobra.Command{
		Use:   "rotate",
		Short: "Give a Worker a new token",
		Long: `Give a Worker a new token. One that has its token in a file gets the new one there,
and runs on. One that has it in the environment is restarted shortly before the
overlap ends. The old token ends with the overlap in any case.`,
		Example: workerNoun.usage("rotate", " --overlap 1h"),
	}), func(s *session) error {
		w, change, err := s.api.RotateWorker(s.ctx(), client.Request{}, s.args[0], manager.WorkerRotation{OverlapSeconds: int64(overlap / time.Second)})
		return s.worker(w, change, err)
	})
	cmd.Flags().DurationVar(&overlap, "overlap", 10*time.Minute, "how long the old token lives on; 0: it ends at once")
	return cmd
}

func newWorkerDelete() *cobra.Command {
	return changeCommand(workerNoun.one(&cobra.Command{
		Use:     "delete",
		Short:   "Delete a Worker: its tokens and grants now, then its container; room and audit stay",
		Example: workerNoun.usage("delete", ""),
	}), func(s *session) error {
		_, change, err := s.api.DeleteWorker(s.ctx(), client.Request{}, s.args[0])
		if err != nil {
			return err
		}
		if err := s.await(s.args[0], true); err != nil {
			return err
		}
		return s.changed(change)
	})
}

func workerAction(verb, short string, call changeCall[manager.Worker]) *cobra.Command {
	return changeCommand(workerNoun.one(&cobra.Command{
		Use:     verb,
		Short:   short,
		Example: workerNoun.usage(verb, ""),
	}), func(s *session) error {
		w, change, err := call(s.api, s.ctx(), client.Request{}, s.args[0])
		return s.worker(w, change, err)
	})
}

// worker ends a command that asked for something of a Worker: it returns when
// that is done.
func (s *session) worker(w manager.Worker, change client.Change, err error) error {
	if err != nil {
		return err
	}
	if err := s.await(w.ID, false); err != nil {
		return err
	}
	st, err := s.api.WorkerStatus(s.ctx(), w.ID)
	if err != nil {
		return err
	}
	if err := printOne(s, workerStatusView, st); err != nil {
		return err
	}
	return s.changed(change)
}

// await waits until a Worker has no task, and says on the way what is made.
func (s *session) await(worker string, gone bool) error {
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	said := 0
	for problem := ""; ; {
		w, err := s.api.Worker(s.ctx(), worker)
		switch {
		case gone && errors.Is(err, manager.ErrNotFound):
			return nil
		case err != nil:
			return err
		case !gone && w.Task == "" && w.Problem != "":
			return fmt.Errorf("worker %q: given up: %s", worker, cell(w.Problem))
		case !gone && w.Task == "":
			return nil
		}
		for ; said < len(w.Done) && !gone; said++ {
			fmt.Fprintf(s.cmd.ErrOrStderr(), "%s: %s is there\n", worker, cell(w.Done[said]))
		}
		if w.Problem != problem {
			problem = w.Problem
			fmt.Fprintf(s.cmd.ErrOrStderr(), "%s: is tried again: %s\n", worker, cell(problem))
		}
		select {
		case <-tick.C:
		case <-s.ctx().Done():
			return s.ctx().Err()
		}
	}
}

func workerIDs(ctx context.Context, c *client.Client) ([]string, error) {
	l, err := c.Workers(ctx, "", manager.Page{Limit: manager.MaxPage})
	return idsOf(l, err, func(v manager.WatchedWorker) string { return v.ID })
}
