package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
)

var credentials = noun[manager.Credential]{
	words: "credential", a: "what may be read of a credential", example: "github-main", ids: credentialIDs,
	view: view[manager.Credential]{"ID STATE VERSION TO SEALED-TO OVERLAP NOTE", func(c manager.Credential) []string {
		if c.Retired || len(c.Versions) == 0 {
			return []string{c.ID, "retired", "", "", "", "", c.Note}
		}
		v := c.Versions[0]
		to := append(append([]string(nil), v.Upstream.Hosts...), v.Upstream.Clusters...)
		var overlap []string
		for _, old := range c.Versions[1:] {
			overlap = append(overlap, strconv.FormatUint(old.Number, 10)+" until "+timeCell(old.Retires))
		}
		return []string{c.ID, "in use", strconv.FormatUint(v.Number, 10), strings.Join(to, ","), strings.Join(v.Keys, ","), strings.Join(overlap, ","), c.Note}
	}},
}

// newCredential is the command that handles credentials.
func newCredential() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credential",
		Short: "Enrol, rotate and retire the real keys of targets, sealed before they are sent",
		Long: `Enrol, rotate and retire the real keys of targets.

A key is sealed on this machine to every gateway key that the Manager knows, and
only then sent: the Manager never has it. Nobody can read it back.`,
	}
	cmd.AddCommand(
		newCredentialEnrol(), newCredentialRotate(), credentials.get((*client.Client).Credential),
		credentials.list("List credentials, without what is sealed", "  keyward credential list --token-file admin.token",
			func(s *session, ctx context.Context, p manager.Page) (manager.List[manager.Credential], error) {
				return s.api.Credentials(ctx, p)
			}),
		credentials.verb("revert", "Go back to the newest version in its overlap", (*client.Client).RevertCredential),
		credentials.verb("retire", "Erase a credential for good; what refers to it is denied", (*client.Client).RetireCredential),
		newCredentialOverride(),
	)
	return cmd
}

// A sealing is how a key comes in, and to whom it is sealed.
type sealing struct {
	file            string
	keys            []string
	hosts, clusters []string
}

func (g *sealing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.file, "file", "-", "`file` with the key; - is standard input, or a prompt on a terminal")
	f.StringArrayVarP(&g.keys, "key", "k", nil, "seal to this public key of gateways, or `file` with it, in place of those that the Manager names (may be repeated)")
	f.StringSliceVar(&g.hosts, "host", nil, "`host` that the key may be sent to (may be repeated)")
	f.StringSliceVar(&g.clusters, "cluster", nil, "gateway `cluster` that the key may be sent to (may be repeated)")
}

var errNoSealingKey = hinted{
	errors.New("there is no gateway key to seal to"),
	"`keyward gateway keygen` makes one, `keyward gateway key add` makes it known",
}

// seal reads a key and seals it as a version of a credential.
func (g *sealing) seal(s *session, id string, number uint64, to snapshot.Upstream) (manager.CredentialSealed, error) {
	var none manager.CredentialSealed
	keys, err := g.publicKeys(s)
	if err != nil {
		return none, err
	}
	if g.file == "-" && s.tokenFile == "-" && !isTerminal(s.cmd) {
		return none, errors.New("admin token and key can't both come from standard input: name a file for one of them")
	}
	b, err := readSecret(s.cmd, g.file, "Key to seal: ")
	if err != nil {
		return none, err
	}
	defer clear(b)
	secret, err := seal.NewSecret(b)
	if err != nil {
		return none, err
	}
	return manager.SealTo(keys, id, number, to, secret)
}

func (g *sealing) publicKeys(s *session) ([]*seal.PublicKey, error) {
	if len(g.keys) > 0 {
		return readPublicKeys(g.keys)
	}
	list, err := client.All(s.ctx(), s.api.SealingKeys)
	if err != nil {
		return nil, err
	}
	var keys []*seal.PublicKey
	for _, k := range list {
		public, err := seal.ParsePublic(k.Public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, public)
	}
	if keys == nil {
		return nil, errNoSealingKey
	}
	return keys, nil
}

func newCredentialEnrol() *cobra.Command {
	var g sealing
	var note string
	cmd := changeCommand(&cobra.Command{
		Use:   "enrol ID",
		Short: "Seal a real key on this machine, and enrol it",
		Long: `Seal a real key on this machine to every gateway key that the Manager knows, and
enrol it. Where it may be sent is sealed in with it.

Who could make the Manager name a gateway key of their own would be sent what is
sealed to it: --key pins the keys instead.`,
		Example: `  # typed in, without echo
  keyward credential enrol github-main --host api.github.com --token-file admin.token

  # from a password store
  pass show github | keyward credential enrol github-main --host api.github.com --token-file admin.token`,
		Args: cobra.ExactArgs(1),
	}, func(s *session) error {
		sealed, err := g.seal(s, s.args[0], 1, snapshot.Upstream{Hosts: g.hosts, Clusters: g.clusters})
		if err != nil {
			return err
		}
		return show(s, credentials.view)(s.api.EnrolCredential(s.ctx(), client.Request{},
			manager.CredentialSpec{ID: s.args[0], Note: note, CredentialSealed: sealed}))
	})
	g.flags(cmd)
	cmd.Flags().StringVar(&note, "note", "", "free text")
	return cmd
}

func newCredentialRotate() *cobra.Command {
	var g sealing
	var overlap span
	cmd := changeCommand(credentials.one(&cobra.Command{
		Use:   "rotate",
		Short: "Seal a new version of a key on this machine, and put it into use",
		Long: `Seal a new version of a key on this machine, and put it into use. It may be the
same key, sealed to more gateway keys or for other hosts. Within the overlap,
revert goes back to the version before.`,
		Example: credentials.usage("rotate", " --file github.pat --overlap 24h --wait"),
	}), func(s *session) error {
		c, err := s.api.Credential(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		var to snapshot.Upstream
		if len(c.Versions) > 0 {
			to = c.Versions[0].Upstream
		}
		if f := s.cmd.Flags(); f.Changed("host") || f.Changed("cluster") {
			to = snapshot.Upstream{Hosts: g.hosts, Clusters: g.clusters}
		}
		sealed, err := g.seal(s, c.ID, c.Next, to)
		if err != nil {
			return err
		}
		return show(s, credentials.view)(s.api.RotateCredential(s.ctx(), client.Request{Version: c.Version}, c.ID,
			manager.CredentialRotation{Number: c.Next, CredentialSealed: sealed, OverlapSeconds: overlap.seconds()}))
	})
	g.flags(cmd)
	cmd.Flags().Var(&overlap, "overlap", "how long one can go back to the version before, such as 1h or 7d; none: it is erased at once")
	return cmd
}

func newCredentialOverride() *cobra.Command {
	var off bool
	cmd := changeCommand(&cobra.Command{
		Use:   "override CONSUMER TARGET [CREDENTIAL]",
		Short: "Give a consumer a credential of its own for a target",
		Example: `  keyward credential override worker-researcher github github-researcher --wait --token-file admin.token

  # back to the target's
  keyward credential override worker-researcher github --off --token-file admin.token`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: completeEach(consumerIDs, targetIDs, credentialIDs),
	}, func(s *session) error {
		if off != (len(s.args) == 2) {
			return errors.New("name a credential, or say --off")
		}
		c, err := s.api.Consumer(s.ctx(), s.args[0])
		if err != nil {
			return err
		}
		r := client.Request{Version: c.Version}
		if off {
			return show(s, consumers.view)(s.api.ClearConsumerCredential(s.ctx(), r, c.ID, s.args[1]))
		}
		return show(s, consumers.view)(s.api.SetConsumerCredential(s.ctx(), r, c.ID, s.args[1], s.args[2]))
	})
	cmd.Flags().BoolVar(&off, "off", false, "let the consumer use the target's credential again")
	return cmd
}
