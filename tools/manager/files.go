package manager

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/files"
	"keyward/manager/objects"
	"keyward/manager/store"
)

// A FilesConfig says where files are, and how the service that gives links to them
// is reached: by gateways alone, as a target.
type FilesConfig struct {
	ListenConfig `yaml:",inline"` // Listen empty: 127.0.0.1:8704
	// KeyFile has the key that the gateway's key-swap puts in, which is to be enrolled
	// as the credential of the target; empty: files.key beside the configuration. It
	// is made where it is missing. Managers of one store need the same.
	KeyFile  string        `yaml:"keyFile"`
	Targets  FilesTargets  `yaml:"targets"`
	MaxBytes int64         `yaml:"maxBytes"` // of one file; 0: 5 GiB
	Expires  time.Duration `yaml:"expires"`  // of a link; 0: 5m
	Store    ObjectsConfig `yaml:"store"`

	secret string // key to the store
	ca     []byte
}

// FilesTargets are the IDs of the two targets.
type FilesTargets struct {
	Files   string `yaml:"files"`   // this service; empty: files
	Objects string `yaml:"objects"` // the object store; empty: objects
}

// An ObjectsConfig says where the object store is.
type ObjectsConfig struct {
	Endpoint      string `yaml:"endpoint"` // URL of MinIO, for the Manager itself
	Host          string `yaml:"host"`     // that the gateway's route to MinIO sets; empty: objects.keyward
	Bucket        string `yaml:"bucket"`   // empty: keyward
	Region        string `yaml:"region"`   // empty: us-east-1
	AccessKey     string `yaml:"accessKey"`
	SecretKeyFile string `yaml:"secretKeyFile"`
	CA            string `yaml:"ca"` // PEM file; empty: the system's
}

// complete fills in defaults and checks what is there. A nil c has no files.
func (c *FilesConfig) complete(dir string) (err error) {
	if c == nil {
		return nil
	}
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:8704")
	c.KeyFile = under(dir, cmp.Or(c.KeyFile, "files.key"))
	c.Cert, c.Key = under(dir, c.Cert), under(dir, c.Key)
	s := &c.Store
	s.Host, s.Bucket = cmp.Or(s.Host, "objects.keyward"), cmp.Or(s.Bucket, "keyward")
	if err := c.check("files"); err != nil {
		return err
	}
	if s.SecretKeyFile == "" {
		return errors.New("files: store: set secretKeyFile")
	}
	b, err := readFile(under(dir, s.SecretKeyFile))
	if err != nil {
		return fmt.Errorf("files: store: %w", err)
	}
	c.secret = strings.TrimSpace(string(b))
	if s.CA != "" {
		if c.ca, err = readFile(under(dir, s.CA)); err != nil {
			return fmt.Errorf("files: store: %w", err)
		}
	}
	if c.MaxBytes < 0 || c.MaxBytes > files.MaxMaxBytes {
		return fmt.Errorf("files: maxBytes must be 0 to %d", int64(files.MaxMaxBytes))
	}
	if err := c.objects().Check(); err != nil {
		return fmt.Errorf("files: store: %w", err)
	}
	return nil
}

func (c *FilesConfig) objects() objects.Options {
	return objects.Options{
		Endpoint: c.Store.Endpoint, Host: c.Store.Host, Bucket: c.Store.Bucket, Region: c.Store.Region,
		AccessKey: c.Store.AccessKey, SecretKey: c.secret, CA: c.ca, Expires: c.Expires,
	}
}

// service is nil without files.
func (c *FilesConfig) service(s *store.Store, log *slog.Logger, registry prometheus.Registerer) (*files.Service, error) {
	if c == nil {
		return nil, nil
	}
	key, err := filesKey(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("files: key: %w", err)
	}
	o, err := objects.New(c.objects())
	if err != nil {
		return nil, err
	}
	return files.New(s, o, files.Options{
		Key: key, Service: c.Targets.Files, Target: c.Targets.Objects, MaxBytes: c.MaxBytes, Log: log, Metrics: registry,
	})
}

// filesKey reads the key of the files service, and makes it where there is none.
func filesKey(path string) (string, error) {
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := "kwf_" + rand.Text() + rand.Text()
		return key, writeNew(filepath.Clean(path), 0o600, []byte(key+"\n"))
	}
	return strings.TrimSpace(string(b)), err
}
