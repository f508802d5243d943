package scenarios_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience bounds one exchange; a gateway that forgot a request runs into it.
const patience = 20 * time.Second

// An Exchange is what a client got, and when it had sent all of its request.
type Exchange struct {
	Status  int
	Header  http.Header
	Body    []byte
	Trailer http.Header
	Cut     error     // why the body is not whole; nil when it is
	Sent    time.Time // just before the last byte of the request was sent
}

// A request is a Message with its placeholders filled in.
type request struct {
	method, path string
	host         string
	headers      [][2]string // but for host
	body         []piece     // nil: none
	open         bool        // its length is not announced
	trailers     [][2]string
}

// newRequest fills m in. Headers go out by name; values in their order.
func newRequest(m *Message, fill func(string) string) request {
	r := request{method: m.Method, path: fill(m.Path), body: m.Body.pieces(fill), host: "gateway.example"}
	r.open = m.Body != nil && m.Body.Open || len(m.Trailers) > 0
	r.headers = flatten(m.Headers, fill)
	if i := slices.IndexFunc(r.headers, func(h [2]string) bool { return h[0] == "host" }); i >= 0 {
		r.host = r.headers[i][1]
		r.headers = slices.Delete(r.headers, i, i+1) // a second one stays beside it
	}
	r.trailers = flatten(m.Trailers, fill)
	return r
}

func flatten(headers map[string]Values, fill func(string) string) [][2]string {
	var list [][2]string
	for name, values := range headers {
		for _, v := range values {
			list = append(list, [2]string{name, fill(v)})
		}
	}
	slices.SortStableFunc(list, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return list
}

// exchange sends r over protocol h1 or h2c.
func exchange(addr, protocol string, r request) (*Exchange, error) {
	if protocol == "h2c" {
		return exchangeH2(addr, r)
	}
	return exchangeH1(addr, r)
}

// exchangeH1 writes the request by hand: Go's own client mends or refuses much
// of what has to be sent here.
func exchangeH1(addr string, r request) (*Exchange, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	sent := make(chan time.Time, 1)
	go func() { sent <- writeH1(conn, r) }()
	answer := bufio.NewReader(conn)
	res, err := http.ReadResponse(answer, &http.Request{Method: r.method})
	for err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(answer, &http.Request{Method: r.method})
	}
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	x := read(res)
	conn.Close() // ends a writer that is still at it, as its request was refused early
	x.Sent = <-sent
	return x, nil
}

// writeH1 returns when it began to write the last piece. An answer that comes
// earlier ends it with an error, which says nothing.
func writeH1(conn net.Conn, r request) time.Time {
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nhost: %s\r\n", r.method, r.path, r.host)
	announced := false
	for _, h := range r.headers {
		announced = announced || h[0] == "content-length" || h[0] == "transfer-encoding"
		fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
	}
	chunked := r.open && !announced
	switch {
	case chunked:
		head.WriteString("transfer-encoding: chunked\r\n")
	case r.body != nil && !announced:
		head.WriteString("content-length: " + strconv.Itoa(length(r.body)) + "\r\n")
	}
	head.WriteString("\r\n")
	last := time.Now()
	if _, err := conn.Write(head.Bytes()); err != nil {
		return last
	}
	for _, p := range r.body {
		time.Sleep(p.after)
		last = time.Now()
		data := p.data
		if chunked && len(data) > 0 {
			data = fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data)
		}
		if _, err := conn.Write(data); err != nil {
			return last
		}
	}
	if chunked {
		last = time.Now()
		end := "0\r\n"
		for _, h := range r.trailers {
			end += h[0] + ": " + h[1] + "\r\n"
		}
		_, _ = io.WriteString(conn, end+"\r\n")
	}
	return last
}

// exchangeH2 uses Go's own client, on a connection of its own.
func exchangeH2(addr string, r request) (*Exchange, error) {
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	body := &slowBody{pieces: slices.Clone(r.body), last: time.Now()}
	req := &http.Request{
		Method: r.method, Host: r.host, Header: http.Header{}, Trailer: http.Header{},
		URL: &url.URL{Scheme: "http", Host: addr, Opaque: r.path}, ContentLength: -1, Body: body,
	}
	switch {
	case r.body == nil && len(r.trailers) == 0:
		req.Body, req.ContentLength = http.NoBody, 0
	case !r.open:
		req.ContentLength = int64(length(r.body))
	}
	for _, h := range r.headers {
		req.Header[http.CanonicalHeaderKey(h[0])] = append(req.Header[http.CanonicalHeaderKey(h[0])], h[1])
	}
	for _, h := range r.trailers {
		req.Trailer.Add(h[0], h[1])
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	x := read(res)
	x.Sent = body.lastRead()
	return x, nil
}

// slowBody pauses between its pieces.
type slowBody struct {
	mu     sync.Mutex
	pieces []piece
	last   time.Time // when the last piece was asked for
}

func (b *slowBody) Read(to []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = time.Now()
	if len(b.pieces) == 0 {
		return 0, io.EOF
	}
	p := &b.pieces[0]
	time.Sleep(p.after)
	p.after = 0
	n := copy(to, p.data)
	if p.data = p.data[n:]; len(p.data) == 0 {
		b.pieces = b.pieces[1:]
	}
	return n, nil
}

func (*slowBody) Close() error { return nil }

func (b *slowBody) lastRead() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

func read(res *http.Response) *Exchange {
	body, err := io.ReadAll(res.Body)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return &Exchange{Status: res.StatusCode, Header: res.Header, Body: body, Trailer: res.Trailer, Cut: err}
}

func length(pieces []piece) int {
	n := 0
	for _, p := range pieces {
		n += len(p.data)
	}
	return n
}
