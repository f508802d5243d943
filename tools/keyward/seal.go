package main

import (
	"errors"
	"fmt"
	"os"
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
	cmd.AddCommand(newKeygen())
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

// newKeygen is the command that makes a gateway's key pair.
func newKeygen() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make the key pair of a gateway",
		Long: `Make the key pair of a gateway: NAME.key, the private key, for the environment
variable KEYWARD_GATEWAY_KEYS of the key-swap plugin's VM and nothing else; NAME.pub,
the public key, to which credentials are sealed.

Files that are there are kept. To replace a key, make a second pair, give the
gateway both private keys separated by a space, seal every credential to both, and
take the old one away when nothing is sealed to it alone.`,
		Example: `  keyward seal keygen -o gateway
  KEYWARD_GATEWAY_KEYS="$(cat gateway.key)" keyward gateway --config gateway.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := seal.GenerateKey()
			if err != nil {
				return err
			}
			private, err := k.Reveal()
			if err != nil {
				return err
			}
			if err := writeNew(output+".key", private+"\n", 0o600); err != nil {
				return err
			}
			if err := writeNew(output+".pub", k.Public().String()+"\n", 0o644); err != nil {
				return errors.Join(err, os.Remove(output+".key"))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s.key\tprivate, for the gateway's key-swap alone\n%s.pub\tpublic, ID %s\n", output, output, k.ID())
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "gateway", "name of both files, without their endings")
	return cmd
}

// writeNew writes a file that must not be there yet.
func writeNew(name, text string, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
