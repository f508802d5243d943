package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/seal"
)

// newKeygen is the command that makes the key pair of gateways.
func newKeygen() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make the key pair that a gateway opens credentials with",
		Long: `Make the key pair that a gateway opens credentials with: NAME.key, the private
key, which nobody else can read, for the environment variable
KEYWARD_GATEWAY_KEYS of the key-swap plugin's VM and nothing else; NAME.pub, the
public key, to which credentials are sealed. With --output - the private key goes
to standard output, for a Kubernetes Secret, and the public key to standard error.

Files that are there are kept. docs/operations.md says how a key is replaced.`,
		Example: `  keyward gateway keygen -o gateway
  keyward gateway key add gateway.pub --token-file admin.token

  # straight into a Secret; gateway.pub keeps the public key
  keyward gateway keygen -o - 2>gateway.pub | kubectl create secret generic keyward-gateway --from-file=keys=/dev/stdin`,
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
			if output == "-" {
				fmt.Fprintln(cmd.ErrOrStderr(), k.Public())
				_, err := fmt.Fprintln(cmd.OutOrStdout(), private)
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
	cmd.Flags().StringVarP(&output, "output", "o", "gateway", "name of both files, without their endings; - prints the private key")
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

var sealingKeys = noun[manager.SealingKey]{
	words: "gateway key", a: "a public key of gateways", example: "3f0c9a", ids: sealingKeyIDs,
	view: view[manager.SealingKey]{"ID SEALED MISSING NOTE CREATED", func(k manager.SealingKey) []string {
		return []string{k.ID, strconv.FormatInt(k.Sealed, 10), strconv.FormatInt(k.Missing, 10), k.Note, timeCell(k.Created)}
	}},
}

// newGatewayKey is the command that handles the keys to which credentials are
// sealed.
func newGatewayKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Say which gateway keys credentials are sealed to",
		Long: `Say which gateway keys credentials are sealed to: the public halves of the pairs
that keygen makes. SEALED counts the credentials in use that are sealed to a key,
MISSING those that are not, which a gateway with that key alone is denied.`,
	}
	cmd.AddCommand(
		newGatewayKeyAdd(), sealingKeys.get((*client.Client).SealingKey),
		sealingKeys.list("List the keys that credentials are sealed to", "  keyward gateway key list --token-file admin.token",
			func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.SealingKey], error) {
				return s.api.SealingKeys(ctx, p)
			}),
		sealingKeys.end("remove", "Seal nothing more to a key; not while a credential is sealed to it alone", (*client.Client).RemoveSealingKey),
	)
	return cmd
}

func newGatewayKeyAdd() *cobra.Command {
	var note string
	cmd := changeCommand(&cobra.Command{
		Use:     "add FILE",
		Short:   "Make a public key of gateways known, so that credentials are sealed to it",
		Example: `  keyward gateway key add gateway.pub --token-file admin.token`,
		Args:    cobra.ExactArgs(1),
	}, func(s *session) error {
		b, err := readBounded(s.args[0])
		if err != nil {
			return err
		}
		spec := manager.SealingKeySpec{Public: strings.TrimSpace(string(b)), Note: note}
		if _, err := spec.Key(); err != nil { // a private key is not sent by mistake
			return fmt.Errorf("%s: %w", s.args[0], err)
		}
		return show(s, sealingKeys.view)(s.api.AddSealingKey(s.ctx(), client.Request{}, spec))
	})
	cmd.Flags().StringVar(&note, "note", "", "free text, such as which gateways have it")
	return cmd
}
