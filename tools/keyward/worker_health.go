package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
)

func newWorkerList() *cobra.Command {
	var health string
	states := make([]string, len(manager.HealthStates))
	for i, s := range manager.HealthStates {
		states[i] = string(s)
	}
	cmd := workerNoun.list("List Workers and how they are", workerNoun.usage("list", " --health stuck"), func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.WatchedWorker], error) {
		return s.api.Workers(ctx, manager.HealthState(health), p)
	})
	cmd.Flags().StringVar(&health, "health", "", "list those alone that are "+strings.Join(states, ", "))
	must(cmd.RegisterFlagCompletionFunc("health", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// A workerHealth is what `worker health` shows.
type workerHealth struct {
	Worker string               `json:"worker"`
	Health manager.WorkerHealth `json:"health"`
	Now    *manager.WorkerFacts `json:"now,omitempty"` // facts of the last look
}

func newWorkerHealth() *cobra.Command {
	return apiCommand(workerNoun.one(&cobra.Command{
		Use:   "health",
		Short: "Show how a Worker is, and the facts that decided",
		Long: `Show how a Worker is, why, and the facts: those that decided when it came to this
state, and those of now. docs/workers.md says what each fact is.`,
		Example: workerNoun.usage("health", ""),
	}), func(s *session) error {
		w, err := s.api.Worker(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		h := workerHealth{Worker: w.ID, Health: w.Health}
		st, err := s.api.WorkerStatus(s.ctx(), w.ID)
		if err != nil && !errors.Is(err, manager.ErrState) { // of a Manager that runs no Workers
			return err
		}
		h.Now = st.Facts
		rows, err := healthRows(w, h)
		if err != nil {
			return err
		}
		return printAs(s, view[[3]string]{"FACT THEN NOW", func(r [3]string) []string { return r[:] }}, any(h), rows)
	})
}

func healthRows(w manager.WatchedWorker, h workerHealth) ([][3]string, error) {
	state := string(h.Health.State)
	if w.Suspended {
		state += ", " + workerState(w.Worker)
	}
	rows := [][3]string{{"state", state, ""}, {"reason", h.Health.Reason, ""}, {"since", timeCell(h.Health.Since), ""}}
	if h.Health.Problem != "" {
		rows = append(rows, [3]string{"problem", h.Health.Problem, ""})
	}
	then, err := flat(h.Health.Facts)
	if err != nil {
		return nil, err
	}
	now, err := flat(h.Now)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(then)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows = append(rows, [3]string{name, then[name], now[name]})
	}
	return rows, nil
}

// flat are facts by their names in the input of the rules, such as container.phase.
func flat(f *manager.WorkerFacts) (map[string]string, error) {
	m := map[string]string{}
	if f == nil {
		return m, nil
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	flatten(m, "", v)
	return m, nil
}

func flatten(m map[string]string, prefix string, v map[string]any) {
	for name, x := range v {
		if o, ok := x.(map[string]any); ok {
			flatten(m, prefix+name+".", o)
		} else {
			m[prefix+name] = fmt.Sprint(x)
		}
	}
}
