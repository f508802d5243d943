package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keyward/plugins/seal"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
)

// newSeal is the command that closes a credential for a gateway.
func newSeal() *cobra.Command {
	var (
		c    snapshot.Credential
		keys []string
		file string
	)
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "Seal a real key to a gateway, for a snapshot",
		Long: `Seal a real key to a gateway, and print the credential's entry in a snapshot.

Only the gateway's key-swap plugin can open it. The entry's ID, version, hosts and
clusters are sealed in: to change one of them, seal the key again. Several --key
seal to several gateway keys, as when one is being replaced.

The key is read from standard input, a file, or a prompt; never from an argument.`,
		Example: `  # typed in, without echo
  keyward seal --key gateway.pub --credential github --version 1 --host api.github.com

  # a new version, to the old and the new gateway key
  keyward seal --key gateway.pub --key gateway-2.pub --credential github --version 2 \
      --host api.github.com --file github.pat`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			public, err := readPublicKeys(keys)
			if err != nil {
				return err
			}
			b, err := readSecret(cmd, file, "Key to seal: ")
			if err != nil {
				return err
			}
			secret, err := seal.NewSecret(b)
			if err != nil {
				return err
			}
			defer secret.Zero()
			for _, k := range public {
				s, err := seal.Seal(k, secret, seal.For(&c))
				if err != nil {
					return err
				}
				c.Sealed = append(c.Sealed, s)
			}
			entry := snapshot.EncodeCredential(&c)
			if _, err := snapshot.DecodeCredential(entry); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", entry)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&keys, "key", "k", nil, "the gateway's public key, or a file with it (may be repeated)")
	f.StringVar(&c.ID, "credential", "", "ID of the credential")
	f.Uint64Var(&c.Version, "version", 1, "version of the credential; greater with every new key")
	f.StringSliceVar(&c.Upstream.Hosts, "host", nil, "host that the key may be sent to (may be repeated; default any that its target names)")
	f.StringSliceVar(&c.Upstream.Clusters, "cluster", nil, "gateway cluster that the key may be sent to (may be repeated)")
	f.StringVarP(&file, "file", "f", "-", "file with the key to seal; - is standard input, or a prompt on a terminal")
	for _, name := range []string{"key", "credential"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag is misspelled above
		}
	}
	return cmd
}

func readPublicKeys(args []string) ([]*seal.PublicKey, error) {
	var keys []*seal.PublicKey
	for _, arg := range args {
		text := arg
		if !strings.HasPrefix(arg, unseal.PublicPrefix) {
			b, err := readBounded(arg)
			if err != nil {
				return nil, err
			}
			text = strings.TrimSpace(string(b))
		}
		k, err := seal.ParsePublic(text)
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}
