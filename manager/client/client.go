// Package client calls the Manager's API.
//
// Every error that the API explains is a [*Error], which works with [errors.Is]
// and the errors of package manager.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"keyward/manager"
)

// maxAnswer bounds an answer, in bytes: the longest page of the largest objects.
const maxAnswer = 64 << 20

// Options of a client. The zero value works.
type Options struct {
	HTTP *http.Client // nil: http.DefaultClient
}

// A Client calls the API of one Manager with one admin token. It may be used by
// several goroutines at once.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client of the Manager at base, such as https://manager:8700.
func New(base, token string, opt Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("client: %q is no http or https URL", base)
	}
	return &Client{base: u, token: token, http: cmp.Or(opt.HTTP, http.DefaultClient)}, nil
}

// An Error is a problem that the API answered with (RFC 9457).
type Error struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
	Request string `json:"-"` // id of the request, for the Manager's log
}

func (e *Error) Error() string {
	s := cmp.Or(e.Detail, e.Title, http.StatusText(e.Status), strconv.Itoa(e.Status))
	for _, f := range e.Errors {
		if strings.Contains(s, f.Message) {
			continue
		}
		s += "; " + strings.TrimPrefix(f.Location+": ", ": ") + f.Message
	}
	return s
}

// kinds are the errors that a problem type stands for.
var kinds = map[string]error{
	"not-found":              manager.ErrNotFound,
	"exists":                 manager.ErrExists,
	"deleted":                manager.ErrDeleted,
	"version":                manager.ErrVersion,
	"state":                  manager.ErrState,
	"limit":                  manager.ErrLimit,
	"invalid":                manager.ErrInvalid,
	"idempotency-key-reused": manager.ErrKeyReused,
}

// Unwrap returns the error of package manager that e stands for; nil: none.
func (e *Error) Unwrap() error {
	if kind, ok := kinds[strings.TrimPrefix(e.Type, "urn:keyward:problem:")]; ok {
		return kind
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return manager.ErrForbidden
	case http.StatusNotFound:
		return manager.ErrNotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return manager.ErrInvalid
	default:
		return nil
	}
}

// A Change says what came of a call that changes something.
type Change struct {
	Generation uint64 // in which the change is in force
	InForce    bool   // with Request.Wait: every connected gateway has it in force
	Gateways   int    // with Request.Wait: that are connected
	Behind     string // with Request.Wait: ids of connected gateways that have not confirmed it
	Lost       string // with Request.Wait: ids of gateways that are not connected
}

// A Request is how a change is asked for. The zero value works for those that
// are no updates.
type Request struct {
	Version uint64 // that the change is based on; 0: whichever there is
	Key     string // idempotency key; empty: none
	Wait    bool   // for every connected gateway to have it in force
	Seconds int    // with Wait: how long, up to 30; 0: 5
}

// call sends body, when there is one, and reads the answer into out, when that
// is not nil; as it is, when that is a *[]byte.
func (c *Client) call(ctx context.Context, route string, query url.Values, r Request, body, out any) (Change, error) {
	var change Change
	method, path, _ := strings.Cut(route, " ")
	if !plain(path) {
		return change, errNoID
	}
	u := c.base.JoinPath(path)
	if r.Wait {
		query = maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		query.Set("wait", "in_force")
		if r.Seconds != 0 {
			query.Set("wait_seconds", strconv.Itoa(r.Seconds))
		}
	}
	u.RawQuery = query.Encode()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return change, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return change, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Version != 0 {
		req.Header.Set("If-Match", strconv.Quote(strconv.FormatUint(r.Version, 10)))
	} else if method != http.MethodGet {
		req.Header.Set("If-Match", "*")
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return change, err
	}
	defer res.Body.Close() // it was only read
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return change, err
	}
	if len(b) > maxAnswer {
		return change, errors.New("client: the answer is too large")
	}
	if res.StatusCode >= 300 {
		return change, problem(res, b)
	}
	change.Generation, _ = strconv.ParseUint(res.Header.Get("Keyward-Generation"), 10, 64) // absent: 0
	change.InForce = res.Header.Get("Keyward-In-Force") == "true"
	change.Gateways, _ = strconv.Atoi(res.Header.Get("Keyward-Gateways")) // absent: 0
	change.Behind, change.Lost = res.Header.Get("Keyward-Behind"), res.Header.Get("Keyward-Lost")
	if out == nil || len(b) == 0 {
		return change, nil
	}
	if text, ok := out.(*[]byte); ok {
		*text = b
		return change, nil
	}
	return change, json.Unmarshal(b, out)
}

var errNoID = errors.New("client: an id is missing, or is no id")

// plain reports whether path has no segment that would be taken for a way up: it
// would lead to another object, as in /v1/rooms/r/members/.. to the room itself.
func plain(path string) bool {
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func problem(res *http.Response, b []byte) error {
	e := &Error{}
	if err := json.Unmarshal(b, e); err != nil || e.Title == "" {
		e = &Error{Title: res.Status} // somebody else answered
	}
	e.Status, e.Request = res.StatusCode, res.Header.Get("Keyward-Request")
	return e
}

// get reads one object.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var v T
	_, err := c.call(ctx, "GET "+path, query, Request{}, nil, &v)
	return v, err
}

// list reads one page.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, p manager.Page) (manager.List[T], error) {
	q := url.Values{}
	for name, values := range query {
		if values[0] != "" {
			q[name] = values
		}
	}
	if p.After != "" {
		q.Set("after", p.After)
	}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	var l struct {
		Items []T    `json:"items"`
		Next  string `json:"next"`
	}
	_, err := c.call(ctx, "GET "+path, q, Request{}, nil, &l)
	return manager.List[T]{Items: l.Items, After: l.Next}, err
}

// send changes something and reads what it became.
func send[T any](ctx context.Context, c *Client, route string, r Request, body any) (T, Change, error) {
	var v T
	change, err := c.call(ctx, route, nil, r, body, &v)
	return v, change, err
}

// issue is send for what comes with a secret.
func issue[T any](ctx context.Context, c *Client, route string, r Request, body any) (manager.Issued[T], Change, error) {
	var raw json.RawMessage
	var i manager.Issued[T]
	change, err := c.call(ctx, route, nil, r, body, &raw)
	if err != nil {
		return i, change, err
	}
	var s struct {
		Secret string `json:"secret"`
	}
	err = errors.Join(json.Unmarshal(raw, &i.Object), json.Unmarshal(raw, &s))
	i.Secret = s.Secret
	return i, change, err
}

// All reads the rest of a list, page by page.
func All[T any](ctx context.Context, page func(context.Context, manager.Page) (manager.List[T], error)) ([]T, error) {
	var all []T
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := page(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		if p.After = l.After; p.After == "" {
			return all, nil
		}
	}
}
