package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/store"
	service "keyward/tools/manager"
)

// newManager is the command that runs the Manager, and looks after its store.
func newManager() *cobra.Command {
	var file, policyDir string
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run the Manager: consumers, tokens, credentials, grants and policies",
		Long: `Run the Manager. Its configuration is a YAML file:

  store:
    dsn: keyward.db          # SQLite file, or postgres://...; dsnFile: FILE keeps it out of here
  api:
    listen: 127.0.0.1:8700   # beyond the loopback, cert and key are needed
  operations:
    listen: 127.0.0.1:8701   # /livez, /readyz and /metrics
  gateways:
    listen: 127.0.0.1:8702   # gateways hear of changes here
    signingKey: gateways.pem # made if missing; its public half is in the log
  matrix:                    # optional: rooms that show every decision; docs/matrix.md
    homeserver: http://127.0.0.1:8008
    user: "@keyward:example.org"
    admins: ["@alice:example.org"]
    registrationSecretFile: registration.secret
  plugins:                   # served to Higress gateways, and published: docs/higress.md
    dir: dist
    listen: 127.0.0.1:8703

With workers: it runs Workers in containers, see docs/workers.md.

The first start prints an admin token that ends after a day.`,
		Example: `  keyward manager --config manager.yaml

  # publish what is saved in a folder or git work tree, once it compiles and its tests pass
  keyward manager --config manager.yaml --policy-dir policy/

  keyward manager backup --config manager.yaml --out keyward-backup.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := service.LoadConfig(file)
			if err != nil {
				return err
			}
			if policyDir != "" {
				c.PolicyDir = policyDir
			}
			return service.Run(cmd.Context(), c, cmd.OutOrStdout(), slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	cmd.Flags().StringVar(&policyDir, "policy-dir", "", "publish the policy in this `folder` as it is saved")
	cmd.PersistentFlags().StringVar(&file, "config", "", "YAML `file` with the Manager's configuration")
	if err := cmd.MarkPersistentFlagRequired("config"); err != nil {
		panic(err) // the flag was defined above
	}
	cmd.AddCommand(newManagerBackup(&file), newManagerRestore(&file), newManagerAdminToken(&file), newManagerAdoptKeys(&file))
	return cmd
}

func newManagerBackup(file *string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy a SQLite store while it is in use",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *file, func(s *store.Store) error { return s.Backup(cmd.Context(), out) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "new `file`")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag was defined above
	}
	return cmd
}

func newManagerRestore(file *string) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make the store from a backup, and begin a new epoch",
		Long: `Make the store from a backup. The Manager must not run, and its store must not
exist. A PostgreSQL store is restored with pg_restore; without --from, this
command then begins its new epoch.

What was revoked after the backup was made is in force again: look through the
audit events of the store that was lost, if there still is a copy.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return withStore(cmd, *file, func(s *store.Store) error {
					_, err := s.NewEpoch(cmd.Context(), store.Mutation{By: manager.Self})
					return err
				})
			}
			c, err := service.LoadConfig(*file)
			if err != nil {
				return err
			}
			return store.Restore(cmd.Context(), from, c.Store.DSN, store.Options{})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "backup `file`; none: the database was restored already")
	return cmd
}

func newManagerAdoptKeys(file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "adopt-keys",
		Short: "Make the keys of this configuration those of its store",
		Long: `Make the keys of this configuration those of its store: the one that signs answers
to gateways, and the one that signs checkpoints of the audit log. A Manager whose
keys are others than the store's refuses to start.

Stop every Manager of the store first. Then give every gateway the new public key
within the time that it goes on without contact (max_stale): a gateway refuses
answers that are signed with another. Resources that the Manager publishes itself
get it at once. Auditors need the new public key of the log, and the old one for
checkpoints before.`,
		Example: `  mv gateways.pem gateways-old.pem      # a new one is made
  keyward manager adopt-keys --config manager.yaml
  keyward manager --config manager.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := service.LoadConfig(*file)
			if err != nil {
				return err
			}
			list, err := service.AdoptKeys(cmd.Context(), c)
			if err != nil {
				return err
			}
			for _, k := range list {
				what := "is now " + k.Is
				if k.Was == k.Is {
					what = "is as it was"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", k.Name, what); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newManagerAdminToken(file *string) *cobra.Command {
	var name string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "admin-token",
		Short: "Make an admin token without the API, for when there is none left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *file, func(s *store.Store) error {
				var i manager.Issued[manager.AdminToken]
				_, err := s.Mutate(cmd.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) (err error) {
					i, err = tx.IssueAdminToken(cmd.Context(), manager.AdminTokenSpec{
						Name: name, Role: manager.Admin, Expires: time.Now().Add(life),
					})
					return err
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), i.Secret)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "recovery", "who holds it")
	cmd.Flags().DurationVar(&life, "life", 24*time.Hour, "when it ends")
	return cmd
}

func withStore(cmd *cobra.Command, file string, fn func(*store.Store) error) error {
	c, err := service.LoadConfig(file)
	if err != nil {
		return err
	}
	s, err := store.Open(cmd.Context(), c.Store.DSN, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}
