package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"keyward/plugins/token"
)

func newTokenNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new",
		Short: "Make a consumer token and print it, once",
		Long: `Make a consumer token and print it, once: nothing keeps it but its digest, which
goes into the snapshot with the ID.`,
		Example: `  keyward token new

  # the token alone into a file that nobody else can read
  (umask 077; keyward token new | awk '$1 == "token" {print $2}' > worker-1.token)
  keyward token digest < worker-1.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := token.New(rand.Reader)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "token\t%s\n", t)
			printDigest(w, t)
			return w.Flush()
		},
	}
}

func newTokenDigest() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "digest",
		Short: "Read a consumer token and print its ID and SHA-256",
		Example: `  keyward token digest < worker-1.token

  # typed in, without echo
  keyward token digest`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := readSecret(cmd, file, "Consumer token: ")
			if err != nil {
				return err
			}
			defer clear(b)
			if err := token.Check(string(b)); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			printDigest(w, string(b))
			return w.Flush()
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", "file with the token; - is standard input, or a prompt on a terminal")
	return cmd
}

// printDigest prints what a snapshot keeps of a token. The ID is made of the
// digest, so that a token found somewhere can be told.
func printDigest(w *tabwriter.Writer, t string) {
	d := token.Digest(t)
	text := hex.EncodeToString(d[:])
	fmt.Fprintf(w, "id\tt-%s\nsha256\t%s\n", text[:12], text)
}
