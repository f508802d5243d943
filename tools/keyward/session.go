package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/manager"
	"keyward/manager/client"
)

// Where a command finds the Manager and its token, when no flag says so.
const (
	envManager   = "KEYWARD_MANAGER"
	envTokenFile = "KEYWARD_ADMIN_TOKEN_FILE"
	envCAFile    = "KEYWARD_CA_FILE"

	defaultManager = "http://127.0.0.1:8700"
)

// A session is one run of a command that calls the Manager's API.
type session struct {
	cmd  *cobra.Command
	args []string
	api  *client.Client

	connection
	format string
	limit  int
	wait   time.Duration // 0: don't
}

// A connection says how to reach the Manager.
type connection struct {
	manager, tokenFile, caFile string
}

// apiCommand makes cmd call run with a session, and gives it the flags for one.
func apiCommand(cmd *cobra.Command, run func(*session) error) *cobra.Command {
	s := &session{}
	f := cmd.Flags()
	f.StringVar(&s.manager, "manager", cmp.Or(os.Getenv(envManager), defaultManager), "`URL` of the Manager's API, also $"+envManager)
	f.StringVar(&s.tokenFile, "token-file", cmp.Or(os.Getenv(envTokenFile), "-"), "`file` with the admin token, also $"+envTokenFile+"; - is standard input, or a prompt on a terminal")
	f.StringVar(&s.caFile, "ca-file", os.Getenv(envCAFile), "PEM `file` with the certificate authorities to trust alone, also $"+envCAFile)
	f.StringVarP(&s.format, "output", "o", "table", "table, json, yaml or name")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(s.format); err != nil {
			return err
		}
		c, err := s.open(cmd)
		if err != nil {
			return err
		}
		s.cmd, s.args, s.api = cmd, args, c
		return explain(run(s))
	}
	return cmd
}

// listCommand is apiCommand for what prints a list.
func listCommand(cmd *cobra.Command, run func(*session) error) *cobra.Command {
	cmd = apiCommand(cmd, func(s *session) (err error) {
		if s.limit, err = cmd.Flags().GetInt("limit"); err != nil {
			return err
		}
		return run(s)
	})
	cmd.Flags().Int("limit", 0, "how many to list at most; 0: all")
	return cmd
}

// changeCommand is apiCommand for what changes something.
func changeCommand(cmd *cobra.Command, run func(*session) error) *cobra.Command {
	cmd = apiCommand(cmd, func(s *session) (err error) {
		if s.wait, err = cmd.Flags().GetDuration("wait"); err != nil {
			return err
		}
		return run(s)
	})
	f := cmd.Flags()
	f.Duration("wait", 0, "how long to wait until every connected gateway confirmed the change, 30s when no time is given")
	f.Lookup("wait").NoOptDefVal = "30s"
	return cmd
}

// must is for flags that were defined a line above.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *session) ctx() context.Context { return s.cmd.Context() }

// open makes the client of a connection.
func (c connection) open(cmd *cobra.Command) (*client.Client, error) {
	if err := c.checkURL(); err != nil {
		return nil, err
	}
	h, err := c.http()
	if err != nil {
		return nil, err
	}
	b, err := readSecret(cmd, c.tokenFile, "Admin token: ")
	if err != nil {
		return nil, fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if !manager.ValidSecret(manager.AdminPrefix, token) {
		return nil, errors.New("admin token: this is not one; they begin with " + manager.AdminPrefix)
	}
	return client.New(c.manager, token, client.Options{HTTP: h})
}

// checkURL refuses to send a token where anybody on the way can read it.
func (c connection) checkURL() error {
	u, err := url.Parse(c.manager)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("--manager must be an http or https URL without a password")
	}
	if u.Scheme == "https" {
		return nil
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("--manager %q must be https: it is not on this machine's loopback", c.manager)
}

// http returns an HTTP client that trusts the authorities of c. It follows no
// redirect, which would take the token elsewhere.
func (c connection) http() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if c.caFile != "" {
		b, err := readBounded(c.caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s: no PEM certificate in it", c.caFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// collect reads a list to its end, or to the session's limit.
func collect[T any](s *session, page func(context.Context, manager.Page) (manager.List[T], error)) ([]T, error) {
	if s.limit < 0 {
		return nil, errors.New("--limit must not be negative")
	}
	var all []T
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		if s.limit > 0 {
			p.Limit = min(manager.MaxPage, s.limit-len(all))
		}
		l, err := page(s.ctx(), p)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		if p.After = l.After; p.After == "" || s.limit > 0 && len(all) >= s.limit {
			return all, nil
		}
	}
}
