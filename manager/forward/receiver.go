package forward

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Receiver is where something is sent to.
type Receiver struct {
	URL   string
	Token string // bearer token; empty: none
}

// Validate checks r. A token is not sent in clear, but to this machine.
func (r Receiver) Validate() error {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "":
		return errors.New("url: is no http or https URL, or holds a password") // which is why it is not quoted
	case r.Token != "" && u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("url: %q: a token is sent over https alone", u.Host)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// newClient sends the receiver's token, follows no redirect with it, and turns
// answers that are no success into errors.
func (r Receiver) newClient() *http.Client {
	return &http.Client{
		Timeout:       sendTime,
		Transport:     &transport{next: http.DefaultTransport.(*http.Transport).Clone(), token: r.Token},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type transport struct {
	next  http.RoundTripper
	token string
}

// RoundTrip is for [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	res, err := t.next.RoundTrip(r)
	if err != nil || res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, err
	}
	res.Body.Close() // what it says is not for our log
	return nil, &StatusError{res.StatusCode, retryAfter(res.Header.Get("Retry-After"))}
}

// retryAfter reads seconds or a date; RFC 9110 section 10.2.3.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 1e6 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
