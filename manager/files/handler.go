package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"keyward/manager"
	"keyward/manager/files/wire"
)

// ConsumerHeader is where the gateway says who asks.
const ConsumerHeader = "X-Mse-Consumer"

// maxBody bounds a request, in bytes: a list of all parts that an object may have.
const maxBody = 1 << 20

// A call is one request, read and with the rights of who sent it.
type call struct {
	*http.Request
	consumer string
	name     string // of the object, or the prefix; empty: none
	list     bool   // name is a prefix
	rights   rights
	body     []byte
}

// ServeHTTP answers a request that came through the gateway.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, status := "refused", 0
	defer func() { s.requests.WithLabelValues(op, strconv.Itoa(status)).Inc() }()
	if !s.isKey(manager.Bearer(r.Header.Values("Authorization"))) {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="keyward"`)
		refuse(w, status, "reach this service through the gateway, which puts its key in")
		return
	}
	c, err := s.read(w, r)
	var answer any
	if err == nil {
		op, answer, err = s.serve(c)
	}
	log := s.opt.Log.With(slog.String("operation", op), slog.String("consumer", c.consumer), slog.String("name", c.name))
	if err != nil {
		var detail string
		status, detail = statusOf(err)
		if status >= http.StatusInternalServerError {
			log.Error("files: failed", slog.Any("error", err))
		} else {
			log.Info("files: refused", slog.Int("status", status), slog.String("why", detail))
		}
		refuse(w, status, detail)
		return
	}
	log.Info("files: answered")
	w.Header().Set("Cache-Control", "no-store")
	if answer == nil {
		status = http.StatusNoContent
		w.WriteHeader(status)
		return
	}
	status = http.StatusOK
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client is gone
}

// read finds out who asks for what. It returns what is known also with an error.
func (s *Service) read(w http.ResponseWriter, r *http.Request) (*call, error) {
	c := &call{Request: r}
	who := r.Header.Values(ConsumerHeader)
	if len(who) != 1 || !manager.ValidID(who[0]) {
		return c, &manager.Error{Kind: manager.KindConsumer, Err: manager.ErrForbidden, Why: "the gateway does not say who asks"}
	}
	c.consumer = who[0]
	rest, ok := strings.CutPrefix(r.URL.Path, wire.Path)
	if !ok || rest != "" && rest[0] != '/' {
		return c, &manager.Error{Kind: manager.KindFile, Err: manager.ErrNotFound, Why: "paths here begin with " + wire.Path}
	}
	if rest, c.list = strings.CutSuffix(rest, "/"); rest != "" {
		c.name = rest[1:]
		if err := wire.CheckName(c.name); err != nil {
			c.name = ""
			return c, &manager.FieldError{Field: "name", Why: err.Error()}
		}
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return c, &manager.FieldError{Field: "body", Why: fmt.Sprintf("can't be read, or has more than %d bytes", maxBody)}
	}
	c.rights, err = s.rights(r.Context(), c.consumer)
	return c, err
}

// serve does what is asked for, and names it.
func (s *Service) serve(c *call) (op string, answer any, err error) {
	upload, parted := c.query(wire.QueryUpload)
	switch {
	case c.name == "" && !c.list && c.Method == http.MethodGet:
		access := c.rights
		if access == nil {
			access = rights{}
		}
		return "share", wire.Share{Access: access, MaxBytes: s.opt.MaxBytes}, nil
	case c.list && c.Method == http.MethodGet:
		answer, err = s.list(c)
		return "list", answer, err
	case c.name == "" || c.list:
		return "unknown", nil, errMethod
	case parted:
		return s.serveUpload(c, upload)
	}
	switch c.Method {
	case http.MethodGet:
		answer, err = s.get(c)
		return "get", answer, err
	case http.MethodPut:
		answer, err = s.put(c)
		return "put", answer, err
	case http.MethodDelete:
		return "delete", nil, s.delete(c)
	default:
		return "unknown", nil, errMethod
	}
}

func (s *Service) list(c *call) (wire.Listing, error) {
	if !c.rights.mayList(c.name) {
		return wire.Listing{}, denied(c, "read all of")
	}
	limit := wire.MaxPage
	if text, ok := c.query(wire.QueryLimit); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > wire.MaxPage {
			return wire.Listing{}, &manager.FieldError{Field: wire.QueryLimit, Why: fmt.Sprintf("must be 1 to %d", wire.MaxPage)}
		}
		limit = n
	}
	after, ok := c.query(wire.QueryAfter)
	if ok && wire.CheckName(after) != nil {
		return wire.Listing{}, &manager.FieldError{Field: wire.QueryAfter, Why: "is no name of an object"}
	}
	return s.objects.List(c.Context(), c.name, after, limit)
}

func (s *Service) get(c *call) (wire.Found, error) {
	prefix, ok := c.rights.may(c.name, false)
	if !ok {
		return wire.Found{}, denied(c, "read")
	}
	o, err := s.objects.Stat(c.Context(), c.name)
	if err != nil {
		return wire.Found{}, err
	}
	l, err := s.objects.SignGet(c.Context(), prefix, c.name, o.ETag)
	return wire.Found{Object: o, Link: l}, err
}

func (s *Service) put(c *call) (wire.Link, error) {
	prefix, ok := c.rights.may(c.name, true)
	if !ok {
		return wire.Link{}, denied(c, "write")
	}
	var p wire.Put
	if err := c.decode(&p); err != nil {
		return wire.Link{}, err
	}
	if err := checkPut(p, min(s.opt.MaxBytes, wire.PartSize)); err != nil {
		return wire.Link{}, err
	}
	if err := checkCondition(p.Condition); err != nil {
		return wire.Link{}, err
	}
	return s.objects.SignPut(c.Context(), prefix, c.name, p)
}

func (s *Service) delete(c *call) error {
	if _, ok := c.rights.may(c.name, true); !ok {
		return denied(c, "delete")
	}
	etag := strings.Trim(c.Header.Get("If-Match"), `"`)
	if !wire.ValidETag(etag) {
		return &manager.FieldError{Field: "If-Match", Why: "must be the ETag of the version that is to be deleted"}
	}
	return s.objects.Delete(c.Context(), c.name, etag)
}

// query returns a parameter of the query. One that is there twice is none that
// can be understood, and is as an empty one.
func (c *call) query(name string) (string, bool) {
	v, ok := c.URL.Query()[name]
	if len(v) != 1 {
		return "", ok
	}
	return v[0], ok
}

func (c *call) decode(into any) error {
	d := json.NewDecoder(strings.NewReader(string(c.body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &manager.FieldError{Field: "body", Why: "is not the JSON that is wanted here"}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &manager.FieldError{Field: "body", Why: "is more than one JSON value"}
	}
	return nil
}

func denied(c *call, what string) error {
	return &manager.Error{Kind: manager.KindFile, ID: c.name, Err: manager.ErrForbidden, Why: fmt.Sprintf("no grant lets %q %s it", c.consumer, what)}
}
