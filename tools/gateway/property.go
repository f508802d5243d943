package gateway

import "strings"

// property answers what plugins ask the gateway about a request, in Envoy's
// names (its "attributes").
func (e *exchange) property(path []string) ([]byte, bool) {
	switch strings.Join(path, ".") {
	case "route_name", "xds.route_name":
		if e.route != nil {
			return []byte(e.route.Name), true
		}
	case "cluster_name", "xds.cluster_name":
		if e.route != nil {
			return []byte(e.route.cluster.Name), true
		}
	case "request.path":
		return []byte(rawPath(e.request)), true
	case "request.url_path":
		p, _, _ := strings.Cut(rawPath(e.request), "?")
		return []byte(p), true
	case "request.host":
		return []byte(e.request.Host), true
	case "request.method":
		return []byte(e.request.Method), true
	case "request.protocol":
		return []byte(e.request.Proto), true
	case "source.address":
		return []byte(e.request.RemoteAddr), true
	}
	return nil, false
}
