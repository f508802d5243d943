package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

var logView = view[manager.LogEntry]{"POSITION TIME KIND WHO WHAT OUTCOME ID", func(e manager.LogEntry) []string {
	row := []string{strconv.FormatUint(e.Position, 10), timeCell(e.Time), string(e.Kind), "", "", "", ""}
	switch r, ev := e.Record, e.Event; {
	case r != nil:
		what := []string{r.Target, r.Method, r.Name}
		row[3], row[4] = r.Consumer, strings.Join(strings.Fields(strings.Join(what, " ")), " ")
		row[5], row[6] = strings.TrimSpace(r.Verdict.String()+" "+string(r.Reason)), r.ID
		if r.Tokens != nil {
			row[5] += fmt.Sprintf(" %d+%d tokens", r.Tokens.Input, r.Tokens.Output)
		}
	case ev != nil:
		row[3], row[4], row[6] = ev.Actor.Name, ev.Action+" "+ev.Object, ev.Request
	case e.Gap != nil:
		row[3], row[4] = e.Gateway, fmt.Sprintf("records %d to %d of VM %s never came", e.Gap.First, e.Gap.Last, e.VM)
		if e.Gap.Open {
			row[4] = fmt.Sprintf("VM %s ended: of records from %d on, if there were any, none came", e.VM, e.Gap.First)
		}
	}
	return row
}}

// newAudit is the command that handles the audit log.
func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, follow, export and verify the audit log",
		Long: `Read, follow, export and verify the audit log.

Every decision of a gateway and every change in the Manager is one entry, at a
position that never changes. The Manager signs the log every few seconds; verify
finds whatever was changed since.`,
	}
	cmd.AddCommand(newAuditQuery(), newAuditTail(), newAuditExplain(), newAuditExport(), newAuditVerify(), newAuditDrop())
	return cmd
}

// logFlags are the flags that narrow a list of entries.
func logFlags(cmd *cobra.Command, f *client.LogFilter) (complete func() error) {
	var since, until string
	fs := cmd.Flags()
	fs.StringVar((*string)(&f.Kind), "kind", "", "decision, outcome, cut, action or gap")
	fs.StringVar(&f.Consumer, "consumer", "", "about this consumer")
	fs.StringVar(&f.Target, "target", "", "requests to this target")
	fs.StringVar(&f.Name, "name", "", "this tool, prompt, resource or path")
	fs.StringVar(&f.Verdict, "verdict", "", "allow, deny or ask")
	fs.StringVar(&f.Reason, "reason", "", "this reason code")
	fs.StringVar(&f.Rule, "rule", "", "decided by this rule, as `FILE:ROW`")
	fs.StringVar(&since, "since", "", "stored at or after this time (RFC 3339), or this long ago (15m)")
	fs.StringVar(&until, "until", "", "stored before this time, or this long ago")
	return func() (err error) {
		if f.Since, err = instant(since); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		if f.Until, err = instant(until); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		return nil
	}
}

// instant reads a time, or how long ago one was.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := parseDuration(s)
	return time.Now().Add(-d), err
}

func newAuditQuery() *cobra.Command {
	var f client.LogFilter
	var complete func() error
	cmd := listCommand(&cobra.Command{
		Use:   "query",
		Short: "List entries, oldest first",
		Example: `  keyward audit query --consumer worker-researcher --verdict deny --since 1h --token-file admin.token
  keyward audit query --target github --name create_issue -o json --token-file admin.token`,
		Args: cobra.NoArgs,
	}, func(s *session) error {
		if err := complete(); err != nil {
			return err
		}
		list, err := collect(s, func(ctx context.Context, p manager.Page) (manager.List[manager.LogEntry], error) {
			return s.api.Log(ctx, f, p)
		})
		if err != nil {
			return err
		}
		return printList(s, logView, list)
	})
	complete = logFlags(cmd, &f)
	return cmd
}

// tailEvery is how often tail looks for new entries.
const tailEvery = 500 * time.Millisecond

func newAuditTail() *cobra.Command {
	var f client.LogFilter
	var complete func() error
	cmd := apiCommand(&cobra.Command{
		Use:     "tail",
		Short:   "Show entries as they come, until interrupted",
		Example: `  keyward audit tail --consumer worker-researcher --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		if err := complete(); err != nil {
			return err
		}
		if f.Since.IsZero() {
			f.Since = time.Now()
		}
		p := manager.Page{Limit: manager.MaxPage}
		for {
			l, err := s.api.Log(s.ctx(), f, p)
			if err != nil {
				return err
			}
			for _, e := range l.Items {
				p.After = strconv.FormatUint(e.Position, 10)
				if err := printTail(s, e); err != nil {
					return err
				}
			}
			if l.After != "" {
				continue
			}
			select {
			case <-s.ctx().Done():
				return nil
			case <-time.After(tailEvery):
			}
		}
	})
	complete = logFlags(cmd, &f)
	return cmd
}

// printTail prints an entry on one line, or as a document.
func printTail(s *session, e manager.LogEntry) error {
	if s.format != "table" {
		return printOne(s, logView, e)
	}
	row := logView.row(e)
	for i := range row {
		row[i] = cell(row[i])
	}
	_, err := fmt.Fprintln(s.cmd.OutOrStdout(), strings.Join(row, "  "))
	return err
}

func newAuditExplain() *cobra.Command {
	return apiCommand(&cobra.Command{
		Use:     "explain ID",
		Short:   "Show all that the log has of one decision, or of one API request",
		Example: `  keyward audit explain 01JDMX8Z5T3QJ5K8Q2V7W9YB4C --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		l, err := s.api.Log(s.ctx(), client.LogFilter{ID: s.args[0]}, manager.Page{Limit: manager.MaxPage})
		if err != nil {
			return err
		}
		if len(l.Items) == 0 {
			return fmt.Errorf("decision %q: %w in the log", s.args[0], manager.ErrNotFound)
		}
		if s.format == "table" {
			s.format = "yaml"
		}
		return printList(s, logView, l.Items)
	})
}

func newAuditDrop() *cobra.Command {
	var before uint64
	cmd := changeCommand(&cobra.Command{
		Use:   "drop --before POSITION",
		Short: "Drop the text of records before a position, for good",
		Long: `Drop the text of records before a position, for good.

Their hashes stay, so that the rest of the log can still be verified. Actions
keep their text, and that records were dropped is an action itself.`,
		Example: `  keyward audit drop --before 1000000 --token-file admin.token`,
		Args:    cobra.NoArgs,
	}, func(s *session) error {
		change, err := s.api.DropLog(s.ctx(), client.Request{}, before)
		if err != nil {
			return err
		}
		return s.changed(change)
	})
	cmd.Flags().Uint64Var(&before, "before", 0, "`position` of the first entry that keeps its text")
	must(cmd.MarkFlagRequired("before"))
	return cmd
}
