package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var statusView = view[manager.Status]{"GENERATION EPOCH POLICY CONSUMERS TARGETS GRANTS GATEWAYS", func(s manager.Status) []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return []string{strconv.FormatUint(s.Generation, 10), s.Epoch, s.Policy, n(s.Consumers), n(s.Targets), n(s.Grants), n(s.Gateways)}
}}

// newStatus is the command that shows the state of the Manager.
func newStatus() *cobra.Command {
	return apiCommand(&cobra.Command{
		Use:     "status",
		Short:   "Show the state of the Manager as a whole",
		Example: `  keyward status -o yaml --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		st, err := s.api.Status(s.ctx())
		if err != nil {
			return err
		}
		return printOne(s, statusView, st)
	})
}

var eventView = view[manager.Event]{"GENERATION TIME ACTOR ROLE ACTION OBJECT", func(e manager.Event) []string {
	return []string{fmt.Sprintf("%d.%d", e.Generation, e.Part), timeCell(e.Time), e.Actor.Name, string(e.Actor.Role), e.Action, e.Object}
}}

// followEvery is how often --follow looks for new events.
const followEvery = time.Second

// newEvents is the command that shows what was changed, and by whom.
func newEvents() *cobra.Command {
	var f client.EventFilter
	var kind string
	var follow bool
	cmd := listCommand(&cobra.Command{
		Use:   "events",
		Short: "List what was changed and by whom, oldest first",
		Example: `  keyward events --kind credential --token-file admin.token

  # everything about one consumer, as it happens
  keyward events --object worker-researcher --follow -o json --token-file admin.token`,
		Args: cobra.NoArgs,
	}, func(s *session) error {
		f.Kind = manager.Kind(kind)
		if follow {
			return s.follow(f)
		}
		all, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.Event], error) {
			return s.api.Events(ctx, f, p)
		})
		if err != nil {
			return err
		}
		return printList(s, eventView, all)
	})
	cmd.Flags().StringVar(&kind, "kind", "", "only of this `kind` of object, such as consumer or policy")
	cmd.Flags().StringVar(&f.Object, "object", "", "only of this object, by `id`")
	cmd.Flags().StringVar(&f.Actor, "actor", "", "only by this admin token, by `id`")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with events as they come")
	return cmd
}

// follow prints events page by page, and then as they come, until interrupted. A
// page that is not full is read again, for what came after what was shown of it.
func (s *session) follow(f client.EventFilter) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	v, shown := eventView, 0
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.api.Events(s.ctx(), f, p)
		if s.ctx().Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if shown < len(l.Items) {
			if err := printList(s, v, l.Items[shown:]); err != nil {
				return err
			}
			v.head = "" // it was shown
			shown = len(l.Items)
		}
		if l.After != "" {
			p.After, shown = l.After, 0
			continue
		}
		select {
		case <-tick.C:
		case <-s.ctx().Done():
			return nil
		}
	}
}
