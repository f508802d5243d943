package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/matrix"
	"keyward/manager/matrix/message"
	"keyward/manager/store"
)

// A MatrixConfig says where the audit log shows, and who may command from there.
// Of several Managers of one store, one has it.
type MatrixConfig struct {
	Homeserver string   `yaml:"homeserver"` // URL; empty: no Matrix
	User       string   `yaml:"user"`       // the Manager's account, such as @keyward:example.org
	Admins     []string `yaml:"admins"`     // people in all rooms, who may give commands
	// Exactly one of these files is set: the homeserver's shared secret (Synapse,
	// Dendrite), or a registration token (Tuwunel, Synapse).
	RegistrationSecretFile string `yaml:"registrationSecretFile"`
	RegistrationTokenFile  string `yaml:"registrationTokenFile"`
	// Session is the file that keeps the Manager's own token; empty: matrix.session
	// beside the configuration. It is made where it is missing.
	Session string `yaml:"session"`
	Prefix  string `yaml:"prefix"` // begins aliases and Workers' accounts; empty: keyward
	// Target is the ID of the target that is the homeserver, for Workers; empty: they
	// get no token of their own.
	Target string `yaml:"target"`

	options matrix.Options
}

// paths are the files that it names.
func (c *MatrixConfig) paths() []*string {
	return []*string{&c.RegistrationSecretFile, &c.RegistrationTokenFile, &c.Session}
}

// complete reads what the service needs; dir is that of the configuration.
func (c *MatrixConfig) complete(dir string) error {
	if c.Homeserver == "" {
		return nil
	}
	if c.Session == "" {
		c.Session = filepath.Join(dir, "matrix.session")
	}
	if (c.RegistrationSecretFile == "") == (c.RegistrationTokenFile == "") {
		return errors.New("set one of registrationSecretFile and registrationTokenFile")
	}
	o := matrix.Options{
		Homeserver: c.Homeserver, User: c.User, Admins: c.Admins, Session: c.Session, Prefix: c.Prefix, Target: c.Target,
	}
	for _, f := range []struct {
		path string
		to   *string
	}{{c.RegistrationSecretFile, &o.Registration.Secret}, {c.RegistrationTokenFile, &o.Registration.Token}} {
		if f.path == "" {
			continue
		}
		b, err := readFile(f.path)
		if err != nil {
			return err
		}
		if *f.to = strings.TrimSpace(string(b)); *f.to == "" {
			return fmt.Errorf("%s: is empty", f.path)
		}
	}
	c.options = o
	return o.Check()
}

// service returns the Matrix service; nil: there is none.
func (c *MatrixConfig) service(s *store.Store, log *slog.Logger, registry prometheus.Registerer) (*matrix.Service, error) {
	if c.Homeserver == "" {
		return nil, nil
	}
	o := c.options
	o.Log, o.Metrics = log, registry
	o.Checkpoint = func(ctx context.Context) (message.Checkpoint, time.Time, error) {
		c, err := s.LastCheckpoint(ctx)
		return message.Checkpoint{Size: c.Size, Note: c.Note}, c.Time, err
	}
	return matrix.New(s, o)
}
