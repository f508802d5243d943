// Package objects keeps files in an object store with S3's API, MinIO first, and
// signs URLs with which whoever has no key reads or writes one object.
//
// # What a URL lets do
//
// A signature covers method, host, path, query, and the headers that say how long
// the content is, what it hashes to, and what must be there already. It does not
// cover a header that is absent when it is signed, and a few of those change what
// a request means: x-amz-copy-source makes a PUT a copy of another object. Those
// that are known are signed as empty. And URLs are not signed with the Manager's
// own key, but with temporary credentials whose policy is one action below one
// prefix: such a copy would have nothing that it may read.
//
// # Versions
//
// The bucket keeps old versions for a while: an object store has no conditional
// deletion, and with versions one that hit the wrong object is undone.
package objects

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
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

const (
	callTimeout = 15 * time.Second
	callTries   = 2  // clients try again too
	keepDays    = 30 // for which an old version stays
)

// Options of a store. All but CA, Region and Expires must be set.
type Options struct {
	Endpoint  string // URL of the store, without path
	Host      string // that a request has when it comes to the store through the gateway
	Bucket    string
	AccessKey string
	SecretKey string
	Region    string        // empty: us-east-1, MinIO's default
	CA        []byte        // PEM; nil: the system's
	Expires   time.Duration // of a URL; 0: five minutes
}

// MaxExpires bounds how long a URL may live.
const MaxExpires = 15 * time.Minute

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	hostName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$`)
)

// Check checks what can be checked without the store.
func (o Options) Check() error {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return errors.New("endpoint is no http or https URL without path and user") // which may hold a secret
	}
	switch {
	case !hostName.MatchString(o.Host) || len(o.Host) > 253:
		return fmt.Errorf("host %q is no host name, with or without port, in lower case", o.Host)
	case !bucketName.MatchString(o.Bucket):
		return fmt.Errorf("bucket %q must be 3 to 63 of a-z, 0-9 and hyphen", o.Bucket)
	case o.AccessKey == "" || o.SecretKey == "":
		return errors.New("access key and secret key must be set")
	case o.Expires != 0 && (o.Expires < time.Second || o.Expires > MaxExpires):
		return fmt.Errorf("a URL must live 1s to %v", MaxExpires)
	}
	return nil
}

// A Store is a bucket. It is used by several goroutines at once.
type Store struct {
	opt       Options
	core      minio.Core
	transport http.RoundTripper

	mu      sync.Mutex
	signers map[scope]*minio.Client
}

// New returns a store, and does not talk to it yet.
func New(opt Options) (*Store, error) {
	if err := opt.Check(); err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	opt.Region, opt.Expires = cmp.Or(opt.Region, "us-east-1"), cmp.Or(opt.Expires, 5*time.Minute)
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: callTimeout,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
	}
	if opt.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(opt.CA) {
			return nil, errors.New("objects: the CA holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	u, _ := url.Parse(opt.Endpoint) // was checked
	c, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(opt.AccessKey, opt.SecretKey, ""), Secure: u.Scheme == "https", Transport: transport,
		Region: opt.Region, BucketLookup: minio.BucketLookupPath, MaxRetries: callTries,
	})
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	return &Store{opt: opt, core: minio.Core{Client: c}, transport: transport, signers: map[scope]*minio.Client{}}, nil
}

// Bucket is the name of the bucket, which begins the path of every object.
func (s *Store) Bucket() string { return s.opt.Bucket }

// Prepare makes the bucket where it is missing, and has it keep old versions.
func (s *Store) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	exists, err := s.core.BucketExists(ctx, s.opt.Bucket)
	if err == nil && !exists {
		err = s.core.MakeBucket(ctx, s.opt.Bucket, minio.MakeBucketOptions{Region: s.opt.Region})
	}
	if err != nil {
		return s.failed("bucket", "", err)
	}
	if err := s.core.EnableVersioning(ctx, s.opt.Bucket); err != nil {
		return s.failed("bucket: versions", "", err)
	}
	expire := lifecycle.NewConfiguration()
	expire.Rules = []lifecycle.Rule{{
		ID: "keyward-old-versions", Status: "Enabled",
		NoncurrentVersionExpiration: lifecycle.NoncurrentVersionExpiration{NoncurrentDays: keepDays},
		Expiration:                  lifecycle.Expiration{DeleteMarker: true},
	}}
	return s.failed("bucket: lifecycle", "", s.core.SetBucketLifecycle(ctx, s.opt.Bucket, expire))
}
