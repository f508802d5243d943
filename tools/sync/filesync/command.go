package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager/files/wire"
)

// A session is what all commands have from flags and environment.
type session struct {
	getenv   func(string) string
	gateway  string
	token    string // file
	patient  time.Duration
	quiet    bool
	exclude  []string
	checksum bool
	empty    bool
	report   *report
}

// Main runs a command, and returns its exit code.
func Main(ctx context.Context, args []string, getenv func(string) string, out, stderr io.Writer) int {
	s := &session{getenv: getenv}
	cmd := s.root()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if s.report == nil { // nothing was begun
		if err == nil {
			return exitOK
		}
		fmt.Fprintf(stderr, "keyward-sync: %v\nkeyward-sync --help shows how it is called.\n", err)
		return exitUsage
	}
	return s.report.exit(err)
}

// NewCommand is the command as documents and their tests see it.
func NewCommand() *cobra.Command { return (&session{getenv: func(string) string { return "" }}).root() }

func (s *session) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keyward-sync",
		Short: "Keep a folder and a prefix of the files behind Keyward's gateway alike",
		Long: `Keep a folder and a prefix of the files behind Keyward's gateway alike.

Files live in an object store that nobody but Keyward has a key to. A prefix is a
part of it, such as workers/researcher, which is a Worker's own, or shared/team,
which others read or write too. Without a PREFIX a folder has the one that it had
before; a new one has the Worker's own.

Nothing is overwritten that was not seen. When both sides have changed a file, the
one in the store keeps its name, and the one here is kept beside it, as
NAME.conflict-WRITER-..., here and in the store. Files that are alike are not sent.
Large ones go in parts, and go on where they were cut short. Symbolic links, and
names that no store could have, are left out and reported.

Environment:
  KEYWARD_GATEWAY      URL of the gateway
  KEYWARD_TOKEN_FILE   file with the consumer token, read anew for each request
  KEYWARD_TOKEN        the consumer token, where there is no file
  KEYWARD_WORKER       the Worker's id, which its own prefix follows from

Exit codes: 0 all is done; 1 something failed; 2 wrong use; 3 not allowed;
5 there was a conflict, and all else is done. The worst of them is returned.`,
		Example: `  keyward-sync list                         # which prefixes there are
  keyward-sync sync work                    # this Worker's own files, both ways
  keyward-sync pull team shared/team        # what others have changed
  keyward-sync status work                  # what sync would do, and nothing done`,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	fs := cmd.PersistentFlags()
	fs.StringVar(&s.gateway, "gateway", s.getenv("KEYWARD_GATEWAY"), "`URL` of the gateway")
	fs.StringVar(&s.token, "token-file", s.getenv("KEYWARD_TOKEN_FILE"), "`file` with the consumer token")
	fs.DurationVar(&s.patient, "retry-for", 2*time.Minute, "how long something that fails for now is tried again")
	fs.BoolVarP(&s.quiet, "quiet", "q", false, "say nothing but what went wrong, and conflicts")
	cmd.AddCommand(
		s.list(),
		s.work("sync", modeSync, "Bring changes of both sides to the other", `  keyward-sync sync work
  keyward-sync sync team shared/team --exclude '*.tmp' --exclude node_modules`),
		s.work("pull", modePull, "Bring changes in the store into the folder", `  keyward-sync pull work
  keyward-sync pull team shared/team`),
		s.work("push", modePush, "Bring changes in the folder to the store", `  keyward-sync push work
  keyward-sync push out shared/results --exclude '.git'`),
		s.status(),
	)
	return cmd
}

// begin is what every command does first.
func (s *session) begin(cmd *cobra.Command) (*client, error) {
	if s.gateway == "" {
		return nil, errors.New("no gateway: set KEYWARD_GATEWAY or --gateway")
	}
	r := newReport(cmd.OutOrStdout(), cmd.ErrOrStderr(), s.quiet)
	c, err := newClient(s.gateway, tokenFrom(s.getenv("KEYWARD_TOKEN"), s.token), s.patient, r.say)
	if err == nil {
		s.report = r
	}
	return c, err
}

func (s *session) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the prefixes that there are, or the files below one",
		Example: `  keyward-sync list
  keyward-sync list shared/team`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.begin(cmd)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return s.listAccess(cmd, c)
			}
			prefix := strings.TrimSuffix(args[0], "/")
			if err := wire.CheckName(prefix); err != nil {
				return err
			}
			objects, err := c.list(cmd.Context(), prefix, func(name string, err error) { s.report.failed(name, "is left out", err) })
			for _, name := range slices.Sorted(maps.Keys(objects)) {
				o := objects[name]
				fmt.Fprintf(cmd.OutOrStdout(), "%12d  %s  %s\n", o.Size, o.Modified.UTC().Format(time.RFC3339), printable(name))
			}
			return err
		},
	}
}

func (s *session) listAccess(cmd *cobra.Command, c *client) error {
	share, err := c.share(cmd.Context())
	if err != nil {
		return err
	}
	for _, a := range share.Access {
		access := "read"
		switch {
		case a.Read && a.Write:
			access = "read, write"
		case a.Write:
			access = "write"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%-12s  %s\n", access, or(printable(a.Prefix), "(all)"))
	}
	return nil
}

func (s *session) work(name string, m mode, short, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " [DIR [PREFIX]]", Short: short, Example: example, Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.open(cmd, args, func(r *run) error {
				steps, err := r.steps(cmd.Context(), m, s.checksum)
				if err != nil {
					return err
				}
				if wipes(steps, r.state.base()) && !s.empty {
					return errors.New("the folder has none of its files any more; if all of them are to be deleted in the store too, say --empty")
				}
				return r.do(cmd.Context(), m, steps)
			})
		},
	}
	s.flags(cmd)
	if m.push {
		cmd.Flags().BoolVar(&s.empty, "empty", false, "delete all files in the store, if the folder has none of them any more")
	}
	return cmd
}

func (s *session) status() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status [DIR [PREFIX]]", Short: "Show what sync would do, and do nothing", Args: cobra.MaximumNArgs(2),
		Example: "  keyward-sync status work",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.open(cmd, args, func(r *run) error {
				steps, err := r.steps(cmd.Context(), modeSync, s.checksum)
				for _, line := range names(steps) {
					fmt.Fprintln(cmd.OutOrStdout(), line)
				}
				return err
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func (s *session) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.exclude, "exclude", nil, "`pattern` of names, or of one segment of names, that are left out (may be repeated)")
	cmd.Flags().BoolVar(&s.checksum, "checksum", false, "read every file, also those whose size and time are as they were")
}

// open opens the folder and finds out its prefix.
func (s *session) open(cmd *cobra.Command, args []string, work func(*run) error) (err error) {
	args = append(args, "", "")
	c, err := s.begin(cmd)
	if err != nil {
		return err
	}
	f, err := openFolder(or(args[0], "."), s.exclude)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	st, err := loadState(f.root)
	if err != nil {
		return err
	}
	worker := s.getenv("KEYWARD_WORKER")
	prefix := strings.Trim(args[1], "/")
	if prefix == "" && st.Prefix == "" && worker != "" {
		prefix = "workers/" + worker
	}
	switch {
	case prefix == "" && st.Prefix == "":
		return errors.New("name a PREFIX: keyward-sync list shows those that there are")
	case st.Prefix == "":
		st.Prefix = prefix
	case prefix != "" && prefix != st.Prefix:
		return fmt.Errorf("this folder is that of %q: take another one for %q", st.Prefix, prefix)
	}
	if err := wire.CheckName(st.Prefix); err != nil {
		return err
	}
	return work(&run{client: c, folder: f, state: st, writer: writerName(worker), report: s.report, saved: time.Now()})
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// writerName is who writes, as a part of a name.
func writerName(worker string) string {
	w := notInName.ReplaceAllString(worker, "")
	return or(w[:min(len(w), 63)], "local")
}
