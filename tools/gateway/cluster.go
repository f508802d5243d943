package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/wasmhost"
)

const (
	connectTimeout = 5 * time.Second // as Envoy's default
	// maxCallBytes bounds the answer to a plugin's callout.
	maxCallBytes = 64 << 20
	// maxAnswerHeaders bounds the headers of an upstream's answer.
	maxAnswerHeaders = 256 << 10
)

// A cluster is an upstream with its connections.
type cluster struct {
	Cluster
	urls      []*url.URL
	next      atomic.Uint32
	transport *http.Transport
}

func (c *Config) newCluster(spec Cluster) (*cluster, error) {
	cl := &cluster{Cluster: spec}
	for _, text := range spec.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", spec.Name, err)
		}
		cl.urls = append(cl.urls, u)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: spec.TLS.ServerName}
	if spec.TLS.CA != "" {
		pem, err := readFile(c.path(spec.TLS.CA), maxConfigBytes)
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", spec.Name, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cluster %q: no certificate in %q", spec.Name, spec.TLS.CA)
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!spec.HTTP2)
	protocols.SetHTTP2(spec.HTTP2)
	protocols.SetUnencryptedHTTP2(spec.HTTP2)
	cl.transport = &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    connectTimeout,
		Protocols:              protocols,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxAnswerHeaders,
		DisableCompression:     true, // what the client asked for is what the upstream sees
	}
	return cl, nil
}

// request builds a request to the cluster from headers as a chain has them.
func (c *cluster) request(ctx context.Context, h *chain.Headers, path, authority string) (*http.Request, error) {
	if !strings.HasPrefix(path, "/") && path != "*" {
		return nil, errors.New("the path does not begin with a slash")
	}
	base := c.urls[int(c.next.Add(1)-1)%len(c.urls)]
	u := &url.URL{Scheme: base.Scheme, Host: base.Host}
	if strings.HasPrefix(path, "//") { // an opaque one would be read as a host
		parsed, err := url.ParseRequestURI(path)
		if err != nil {
			return nil, errors.New("the path can't be sent on")
		}
		u.Path, u.RawPath, u.RawQuery, u.ForceQuery = parsed.Path, parsed.RawPath, parsed.RawQuery, parsed.ForceQuery
	} else {
		u.Opaque = path // sent as it is
	}
	r := (&http.Request{
		Method: value(h, ":method"), URL: u, Host: authority, Header: http.Header{}, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	putFields(r.Header, h)
	r.Header.Del("Content-Length")
	if _, ok := r.Header["User-Agent"]; !ok {
		r.Header.Set("User-Agent", "") // keeps the transport from adding its own
	}
	return r, nil
}

// contentLength is the announced length of a body; -1: none.
func contentLength(h *chain.Headers) int64 {
	n, err := strconv.ParseInt(value(h, "content-length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// responseHeaders returns the headers of a response as a chain takes them.
func responseHeaders(r *http.Response) *chain.Headers {
	h := chain.NewHeaders([2]string{":status", strconv.Itoa(r.StatusCode)})
	addFields(h, r.Header, false)
	return h
}

// call makes a plugin's callout.
func (c *cluster) call(ctx context.Context, call wasmhost.CallRequest) (wasmhost.CallResponse, error) {
	h := chain.NewHeaders(call.Headers...)
	r, err := c.request(ctx, h, value(h, ":path"), value(h, ":authority"))
	if err != nil {
		return wasmhost.CallResponse{}, err
	}
	if len(call.Body) > 0 {
		r.Body = io.NopCloser(strings.NewReader(string(call.Body)))
		r.ContentLength = int64(len(call.Body))
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return wasmhost.CallResponse{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCallBytes+1))
	if err != nil {
		return wasmhost.CallResponse{}, err
	}
	if len(body) > maxCallBytes {
		return wasmhost.CallResponse{}, errors.New("the answer is too large")
	}
	answer := wasmhost.CallResponse{Headers: responseHeaders(resp).Pairs(), Body: body}
	if t := trailers(resp.Trailer); t != nil {
		answer.Trailers = t.Pairs()
	}
	return answer, nil
}
