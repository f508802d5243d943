package filesync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"keyward/manager/files/wire"
)

const (
	maxAnswer = 16 << 20 // bytes of an answer of the service
	maxToken  = 4 << 10
	firstWait = 250 * time.Millisecond // doubled with each failure
	lastWait  = 10 * time.Second
	stall     = time.Minute // without an answer's headers
)

// What callers act on.
var (
	errDenied   = errors.New("not allowed")
	errNotFound = errors.New("not there")
	errVersion  = errors.New("somebody else has changed it")
	errEnded    = errors.New("the link has ended")
)

// A later error may be none the next time.
type later struct{ err error }

func (e later) Error() string { return e.err.Error() }
func (e later) Unwrap() error { return e.err }

// A client talks to the files service and the object store, both through the
// gateway.
type client struct {
	gateway string // URL without path
	token   func() (string, error)
	http    *http.Client
	patient time.Duration        // for which something that fails for now is tried
	say     func(string, ...any) // tells the user
}

func newClient(gateway string, token func() (string, error), patient time.Duration, say func(string, ...any)) (*client, error) {
	u, err := url.Parse(gateway)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the gateway %q is no http or https URL without path", gateway)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: stall,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
	}
	return &client{
		gateway: u.Scheme + "://" + u.Host, token: token, patient: patient, say: say,
		// A redirect could lead the token astray.
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// tokenFrom is a consumer token by value, or read anew from a file for every
// request: Keyward replaces it there.
func tokenFrom(value, file string) func() (string, error) {
	return func() (string, error) {
		if file != "" {
			f, err := os.Open(file)
			if err != nil {
				return "", err
			}
			defer f.Close()
			b, err := io.ReadAll(io.LimitReader(f, maxToken))
			if err != nil {
				return "", err
			}
			value = string(b)
		}
		t := strings.TrimSpace(value)
		if t == "" || strings.ContainsAny(t, " \r\n\t") {
			return "", errors.New("no consumer token: set KEYWARD_TOKEN or KEYWARD_TOKEN_FILE")
		}
		return t, nil
	}
}

// try does something until it succeeds, fails for good, or has failed for as long
// as the client is patient.
func (c *client) try(ctx context.Context, what string, fn func() error) error {
	wait, since := firstWait, time.Now()
	for {
		err := fn()
		var l later
		if err == nil || !errors.As(err, &l) {
			return err
		}
		if time.Since(since)+wait > c.patient {
			return fmt.Errorf("given up after %v: %w", c.patient, err)
		}
		c.say("%s: %v; trying again", what, l.err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, lastWait)
	}
}

// send sends one request with the consumer token. The answer's body is the
// caller's to close.
func (c *client) send(ctx context.Context, method, pathAndQuery string, headers map[string]string, body io.Reader, size int64) (*http.Response, error) {
	if !strings.HasPrefix(pathAndQuery, "/") || strings.HasPrefix(pathAndQuery, "//") {
		return nil, fmt.Errorf("the service named %q, which is not below the gateway", pathAndQuery)
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.gateway+pathAndQuery, body)
	if err != nil {
		return nil, errors.New("the service's answer has no usable URL")
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if req.ContentLength = size; size == 0 {
		req.Body = http.NoBody
	}
	res, err := c.http.Do(req)
	if err == nil {
		return res, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may be a link
	}
	return nil, later{fmt.Errorf("the gateway does not answer: %w", err)}
}

// problem is what a refusal means. It reads the body.
func problem(res *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what is missing is only text
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p wire.Problem
	if media == "application/problem+json" {
		_ = json.Unmarshal(b, &p)
	}
	text := strings.TrimSpace(p.Detail)
	if text == "" {
		text = fmt.Sprintf("status %d", res.StatusCode)
	}
	if p.Reason != "" {
		text = fmt.Sprintf("the gateway refused it: %s (decision %s)", p.Reason, p.Decision)
	}
	err := errors.New(printable(text))
	switch status := res.StatusCode; {
	case p.Status == 0 && (status == http.StatusForbidden || status == http.StatusBadRequest) && bytes.Contains(b, []byte("<Error>")):
		if storeCode(b) == "BadDigest" {
			return errChanged
		}
		return fmt.Errorf("%w: %s", errEnded, storeCode(b))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("%w: %w", errDenied, err)
	case status == http.StatusNotFound && p.Reason == "":
		return fmt.Errorf("%w: %w", errNotFound, err)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", errVersion, err)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return later{err}
	default:
		return err
	}
}

// storeCode is the code of an object store's error.
func storeCode(b []byte) string {
	_, rest, _ := bytes.Cut(b, []byte("<Code>"))
	code, _, _ := bytes.Cut(rest, []byte("</Code>"))
	return printable(string(code[:min(len(code), 64)]))
}

// call asks the service something.
func (c *client) call(ctx context.Context, method, name string, query url.Values, headers map[string]string, in, out any) error {
	u := wire.Path
	if name != "" {
		u = (&url.URL{Path: wire.Path + "/" + name}).EscapedPath()
	}
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	return c.try(ctx, "asking for "+or(printable(name), "what may be done"), func() error {
		res, err := c.send(ctx, method, u, headers, bytes.NewReader(body), int64(len(body)))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return problem(res)
		}
		if out == nil {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return later{errors.New("the answer was cut short")}
		}
		if json.Unmarshal(b, out) != nil {
			return errors.New("the answer is none of the files service: is the route to it right?")
		}
		return nil
	})
}

// follow uses a link. An answer that is not 2xx is an error.
func (c *client) follow(ctx context.Context, l wire.Link, headers map[string]string, body io.Reader, size int64) (*http.Response, error) {
	all := map[string]string{}
	for k, v := range l.Headers {
		if !strings.EqualFold(k, "Content-Length") {
			all[k] = v
		}
	}
	for k, v := range headers {
		all[k] = v
	}
	res, err := c.send(ctx, l.Method, l.URL, all, body, size)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, problem(res)
	}
	return res, nil
}
