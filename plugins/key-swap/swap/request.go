package swap

import (
	"encoding/base64"
	"slices"
	"strings"

	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/plugins/verdict"
	"keyward/policies"
)

// always names headers that never go on: Higress' ai-proxy keeps the client's own
// token in this one.
func always(name string) bool { return name == "x-hi-original-auth" }

// beside names what doesn't go on either, beside a key: what a client sends as a
// credential could be read in place of it; an encoded or partial answer could not
// be searched for it.
func beside(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie",
		"accept-encoding", "range", "if-range":
		return true
	}
	return false
}

// A request is what is read of one and changed in it.
type request struct {
	s               filter.Stream
	headers         [][2]string
	authority, path string
}

// read finds what a request is for.
func (r *request) read() {
	for _, h := range r.headers {
		switch h[0] {
		case ":authority":
			r.authority = h[1]
		case ":path":
			r.path = h[1]
		}
	}
}

// toHosts checks that the request is for a host that every one of ups lets it go
// to.
func (r *request) toHosts(ups ...snapshot.Upstream) *refused {
	for _, u := range ups {
		if len(u.Hosts) > 0 && (!slices.Contains(u.Hosts, hostname(r.authority)) || !r.oneHost()) {
			return &refused{policies.WrongUpstream, "the request's host is not one of the credential's"}
		}
	}
	return nil
}

// Paths of properties. Written as arguments they would be made for each request.
var (
	clusterName  = []string{"cluster_name"}
	verdictsName = []string{verdict.Property}
)

// toClusters is [request.toHosts] for the cluster that the host has chosen.
func (r *request) toClusters(ups ...snapshot.Upstream) *refused {
	var cluster []byte
	for _, u := range ups {
		if len(u.Clusters) == 0 {
			continue
		}
		if cluster == nil {
			var err error
			if cluster, err = r.s.Property(clusterName...); err != nil || len(cluster) == 0 {
				return &refused{policies.WrongUpstream, "the host does not say which cluster the request goes to"}
			}
		}
		if !slices.Contains(u.Clusters, string(cluster)) {
			return &refused{policies.WrongUpstream, "the request's cluster is not one of the credential's"}
		}
	}
	return nil
}

// oneHost reports whether no host header says otherwise than :authority.
func (r *request) oneHost() bool {
	return !slices.ContainsFunc(r.headers, func(h [2]string) bool { return h[0] == "host" && h[1] != r.authority })
}

// hostname is an authority in lower case without port.
func hostname(authority string) string {
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		authority = authority[:i]
	}
	return strings.ToLower(authority)
}

// strip removes what a client must not send: what stands where inject puts a
// key, all other credentials, and consumer tokens. With a nil inject it leaves
// what other plugins of the gateway may have put there.
func (r *request) strip(inject *snapshot.Inject) *refused {
	var removed []string
	for _, h := range r.headers {
		if strings.HasPrefix(h[0], ":") || slices.Contains(removed, h[0]) || !unwanted(h, inject) {
			continue
		}
		if r.s.RemoveHeader(filter.Request, h[0]) != nil {
			return &refused{policies.Internal, "a header can't be removed"}
		}
		removed = append(removed, h[0])
	}
	return nil
}

func unwanted(h [2]string, inject *snapshot.Inject) bool {
	// To CGI and WSGI an underscore in a header's name is a hyphen.
	name := hyphens(h[0])
	if always(name) || token.Contains(h[1]) {
		return true
	}
	return inject != nil && (beside(name) || inject.Form == snapshot.Header && name == hyphens(inject.Name))
}

func hyphens(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return strings.ReplaceAll(name, "_", "-")
}

// A place is a header of a request that holds a key.
type place struct {
	name   string // "": there is none
	before string // its value without the key; "": it was not there
}

// inject puts o's key, which is fit for a header, where i says. It may stand there
// with an error too.
func (r *request) inject(i *snapshot.Inject, o *opened) (place, *refused) {
	name, value, before := "authorization", "", ""
	switch i.Form {
	case snapshot.Bearer, snapshot.Basic:
		value = o.header(i)
	case snapshot.Header:
		name, value = i.Name, o.header(i)
	case snapshot.Query:
		path, ok := withParameter(r.path, i.Name, o.secret.Reveal())
		if !ok {
			return place{}, &refused{policies.PathAmbiguous, "the request's path has a fragment or no beginning"}
		}
		name, value, before = ":path", path, r.path
	default:
		return place{}, &refused{policies.NoCredential, "the target's form of injection is not known"}
	}
	at := place{name, before}
	if r.s.SetHeader(filter.Request, name, value) != nil {
		return at, &refused{policies.Internal, "the credential can't be set"}
	}
	return at, nil
}

// headerValue is a header's value with key in it; "" where i has none in a header.
func headerValue(i *snapshot.Inject, key []byte) string {
	switch i.Form {
	case snapshot.Bearer:
		return "Bearer " + string(key)
	case snapshot.Header:
		return i.Prefix + string(key)
	case snapshot.Basic:
		return "Basic " + base64.StdEncoding.EncodeToString(append([]byte(i.Username+":"), key...))
	default:
		return ""
	}
}
