package objects

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"keyward/manager/files/wire"
	"keyward/policies"
)

const (
	credentialLife = time.Hour // of temporary credentials; the longest URL is a part of it
	maxSigners     = 1024
)

// The actions of a policy, each with the method that it lets do.
const (
	actionGet = "s3:GetObject"
	actionPut = "s3:PutObject"
)

// absent are headers that no link may be used with, though whoever holds it could
// add them: a copy in place of a write, a time or an ETag of the writer's choice,
// an encryption that nobody else can read. MinIO takes the value of a signed header
// from the query where the request has no such header; so each is signed as empty,
// and put empty into the query.
var absent = []string{
	"x-amz-copy-source", "x-amz-meta-snowball-auto-extract", "x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm",
	"x-minio-source-etag", "x-minio-source-mtime", "x-minio-source-replication-request",
}

// A scope is what URLs of one temporary credential reach at most.
type scope struct {
	prefix string // empty: the whole bucket
	action string
}

// policy is the scope as the store takes it.
func (c scope) policy(bucket string) (string, error) {
	resource := "arn:aws:s3:::" + bucket + "/"
	if c.prefix != "" {
		if !wire.ValidPrefix(c.prefix) {
			return "", fmt.Errorf("prefix %q can't be in a policy", c.prefix)
		}
		resource += c.prefix + "/"
	}
	b, err := json.Marshal(map[string]any{
		"Version":   "2012-10-17",
		"Statement": []any{map[string]any{"Effect": "Allow", "Action": []string{c.action}, "Resource": []string{resource + "*"}}},
	})
	return string(b), err
}

// signer returns what signs for a scope.
func (s *Store) signer(c scope) (*minio.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.signers[c]; ok {
		return m, nil
	}
	policy, err := c.policy(s.opt.Bucket)
	if err != nil {
		return nil, err
	}
	m, err := minio.New(s.opt.Host, &minio.Options{
		Creds: credentials.New(&credentials.STSAssumeRole{
			Client: &http.Client{Transport: s.transport, Timeout: callTimeout}, STSEndpoint: s.opt.Endpoint,
			Options: credentials.STSAssumeRoleOptions{
				AccessKey: s.opt.AccessKey, SecretKey: s.opt.SecretKey, Policy: policy,
				Location: s.opt.Region, DurationSeconds: int(credentialLife / time.Second),
			},
		}),
		Transport: s.transport, Region: s.opt.Region, BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(s.signers) >= maxSigners {
		clear(s.signers) // they are made again when they are needed
	}
	s.signers[c] = m
	return m, nil
}

// SignGet returns a link to the content of one version of an object below a
// prefix.
func (s *Store) SignGet(ctx context.Context, prefix, name, etag string) (wire.Link, error) {
	return s.sign(ctx, scope{prefix, actionGet}, http.MethodGet, name, nil, http.Header{"If-Match": {quoted(etag)}})
}

// SignPut returns a link that writes one object below a prefix, of exactly one
// size.
func (s *Store) SignPut(ctx context.Context, prefix, name string, p wire.Put) (wire.Link, error) {
	h, err := contentHeaders(p.Size, p.MD5)
	if err != nil {
		return wire.Link{}, err
	}
	if p.Create {
		h.Set("If-None-Match", "*")
	} else {
		h.Set("If-Match", quoted(p.IfMatch))
	}
	return s.sign(ctx, scope{prefix, actionPut}, http.MethodPut, name, url.Values{}, h)
}

// SignPart returns a link that sends one part of an upload, of exactly one size.
func (s *Store) SignPart(ctx context.Context, prefix, name, upload string, number int, p wire.Put) (wire.Link, error) {
	h, err := contentHeaders(p.Size, p.MD5)
	if err != nil {
		return wire.Link{}, err
	}
	q := url.Values{"uploadId": {upload}, "partNumber": {strconv.Itoa(number)}}
	return s.sign(ctx, scope{prefix, actionPut}, http.MethodPut, name, q, h)
}

func contentHeaders(size int64, md5 string) (http.Header, error) {
	h := http.Header{"Content-Length": {strconv.FormatInt(size, 10)}}
	if md5 == "" {
		return h, nil
	}
	sum, err := hex.DecodeString(md5)
	h.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum))
	return h, err
}

func (s *Store) sign(ctx context.Context, c scope, method, name string, query url.Values, headers http.Header) (wire.Link, error) {
	if err := wire.CheckName(name); err != nil {
		return wire.Link{}, err
	}
	if !wire.Within(name, c.prefix) || name == c.prefix {
		return wire.Link{}, fmt.Errorf("objects: %q is not below %q", name, c.prefix)
	}
	m, err := s.signer(c)
	if err != nil {
		return wire.Link{}, s.failed("sign", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l := wire.Link{Method: method, Headers: map[string]string{}, Expires: time.Now().Add(s.opt.Expires).UTC().Truncate(time.Second)}
	signed := headers.Clone()
	if method == http.MethodPut {
		for _, name := range absent {
			signed.Set(name, "")
			query.Set(name, "")
		}
	}
	u, err := m.PresignHeader(ctx, method, s.opt.Bucket, name, s.opt.Expires, query, signed)
	if err != nil {
		return wire.Link{}, s.failed("sign", name, err)
	}
	if l.URL = u.EscapedPath() + "?" + u.RawQuery; len(l.URL) > policies.MaxURIBytes {
		return wire.Link{}, fmt.Errorf("objects: the URL of %q is too long for a gateway", name)
	}
	for k := range headers {
		l.Headers[k] = headers.Get(k)
	}
	return l, nil
}

func quoted(etag string) string { return `"` + etag + `"` }
