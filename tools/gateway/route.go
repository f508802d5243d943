package gateway

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"time"
)

// defaultTimeout is how long an upstream may take until its response's headers.
const defaultTimeout = time.Minute

// A router finds the route of a request.
type router struct{ routes []*route }

type route struct {
	Route
	cluster *cluster
	prefix  string // Path without slashes at its end
	timeout time.Duration
}

func newRouter(routes []Route, clusters map[string]*cluster) *router {
	r := &router{}
	for _, rt := range routes {
		timeout := defaultTimeout
		if rt.Timeout != nil {
			timeout = *rt.Timeout
		}
		r.routes = append(r.routes, &route{rt, clusters[rt.Cluster], strings.TrimRight(rt.Path, "/"), timeout})
	}
	slices.SortStableFunc(r.routes, func(a, b *route) int {
		if (a.Host == "") != (b.Host == "") {
			return cmp.Compare(len(b.Host), len(a.Host))
		}
		return cmp.Compare(len(b.prefix), len(a.prefix))
	})
	return r
}

// find returns the route of a request, nil when there is none. path is raw and
// may have a query.
func (r *router) find(authority, path string) *route {
	host := hostOnly(authority)
	path, _, _ = strings.Cut(path, "?")
	for _, rt := range r.routes {
		if rt.Host != "" && rt.Host != host {
			continue
		}
		rest, ok := strings.CutPrefix(path, rt.prefix)
		if ok && (rest == "" && rt.prefix != "" || strings.HasPrefix(rest, "/")) {
			return rt
		}
	}
	return nil
}

// rewrite returns the path for the upstream.
func (r *route) rewrite(path string) string {
	if r.PrefixRewrite == nil {
		return path
	}
	rest, ok := strings.CutPrefix(path, r.prefix)
	if !ok {
		return path // a plugin has changed it
	}
	to := strings.TrimRight(*r.PrefixRewrite, "/")
	if to == "" && !strings.HasPrefix(rest, "/") {
		to = "/"
	}
	return to + rest
}

// hostOnly returns the host of an authority in lower case, without port and
// without the root's dot.
func hostOnly(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = strings.Trim(authority, "[]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
