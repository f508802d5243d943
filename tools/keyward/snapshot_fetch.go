package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
)

const (
	defaultGateways = "http://127.0.0.1:8702"
	fetchTries      = 5 // the state may change while its pages are read
)

func newSnapshotFetch() *cobra.Command {
	var c connection
	var key, output string
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch what a gateway of the Manager would have now",
		Long: `Fetch a snapshot of all that a gateway of the Manager would have now, for gateways
that are to start while the Manager is down: "keyward envoy --manager-key KEY
--snapshot FILE" and the embedded gateway's configuration take it beside the
Manager. It counts until the Manager was first reached, for max_stale at most, so
fetch it often. What was revoked since it was fetched is not revoked in it.

It comes from the Manager's listener for gateways, by a gateway's token, and is
verified as gateways verify it. There is no secret in it.`,
		Example: `  keyward snapshot fetch --token-file gateway.token --manager-key 3q2-7w... -o snapshot.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			public, err := changes.PublicKey(key)
			if err != nil {
				return fmt.Errorf("--manager-key: %w", err)
			}
			if err := c.checkURL(); err != nil {
				return err
			}
			h, err := c.http()
			if err != nil {
				return err
			}
			token, err := readSecret(cmd, c.tokenFile, "Gateway token: ")
			if err != nil {
				return fmt.Errorf("gateway token: %w", err)
			}
			s, err := (&fetcher{http: h, base: strings.TrimSuffix(c.manager, "/"), token: strings.TrimSpace(string(token)), key: public}).fetch(cmd.Context())
			if err != nil {
				return err
			}
			return saveSnapshot(cmd.OutOrStdout(), output, s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.manager, "manager", defaultGateways, "`URL` of the Manager's listener for gateways")
	f.StringVar(&c.tokenFile, "token-file", "-", "`file` with the gateway token; - is standard input, or a prompt on a terminal")
	f.StringVar(&c.caFile, "ca-file", os.Getenv(envCAFile), "PEM `file` with the certificate authorities to trust alone, also $"+envCAFile)
	f.StringVar(&key, "manager-key", "", `public `+"`key`"+` of the Manager, "gateway_key" in: keyward status -o json`)
	f.StringVarP(&output, "output", "o", "-", "`file` to write, replaced as a whole; - is standard output")
	must(cmd.MarkFlagRequired("manager-key"))
	return cmd
}

// A fetcher reads a whole snapshot as a gateway does, without being one.
type fetcher struct {
	http        *http.Client
	base, token string
	key         ed25519.PublicKey
}

var errMoved = errors.New("what the Manager has changed while it was read, again and again")

func (f *fetcher) fetch(ctx context.Context) (*snapshot.Snapshot, error) {
	for range fetchTries {
		s, err := f.whole(ctx)
		if err != nil || s != nil {
			return s, err
		}
	}
	return nil, errMoved
}

// whole reads all pages; nil: they are not of one state any more.
func (f *fetcher) whole(ctx context.Context) (*snapshot.Snapshot, error) {
	var all snapshot.Snapshot
	size := 0
	for r := (changes.Request{}); ; {
		a, err := f.ask(ctx, r)
		if err != nil {
			return nil, err
		}
		if size += len(a.Body); size > snapshot.MaxBytes {
			return nil, fmt.Errorf("more than %d bytes, which no gateway takes as its configuration", snapshot.MaxBytes)
		}
		p, err := snapshot.Decode(a.Body)
		switch {
		case err != nil:
			return nil, err
		case all.Generation == 0:
			all = *p
		case p.Epoch != all.Epoch || p.Generation != all.Generation || p.Since != 0:
			return nil, errors.New("the Manager's pages are of different states")
		default:
			all.Targets = append(all.Targets, p.Targets...)
			all.Consumers = append(all.Consumers, p.Consumers...)
			all.Credentials = append(all.Credentials, p.Credentials...)
		}
		if r.Cursor = a.Cursor; r.Cursor == "" {
			if !a.Consistent {
				return nil, nil
			}
			_, err := snapshot.NewView(&all)
			return &all, err
		}
	}
}

// ask asks for one page, and verifies the answer.
func (f *fetcher) ask(ctx context.Context, r changes.Request) (changes.Answer, error) {
	var a changes.Answer
	r.Nonce = rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+r.Target(), nil)
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	req.Header.Set(changes.NonceHeader, r.Nonce)
	res, err := f.http.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the Manager answers %s", res.Status)
	}
	a = changes.Answer{Status: res.StatusCode, Cursor: res.Header.Get(changes.CursorHeader), Consistent: res.Header.Get(changes.ConsistentHeader) == "true"}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, snapshot.MaxBytes)); err != nil {
		return a, err
	}
	return a, changes.Verify(f.key, r, a, res.Header.Get(changes.SignatureHeader))
}
