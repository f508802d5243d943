package snapshot

import "strings"

// canonical is m with its root path left out, as both mean every path.
func (m Match) canonical() Match {
	if m.Path == "/" {
		m.Path = ""
	}
	return m
}

// A matcher finds the target of a request. Its cost depends on the depth of the
// deepest path that is configured, not on the number of targets.
type matcher struct {
	targets map[Match]*Target
	depth   int  // segments of the longest path
	routes  bool // some match names a route
}

// newMatcher indexes targets, whose matches must all differ.
func newMatcher(targets map[string]*Target) matcher {
	m := matcher{targets: make(map[Match]*Target, len(targets))}
	for _, t := range targets {
		for _, match := range t.Match {
			match = match.canonical()
			m.targets[match] = t
			m.routes = m.routes || match.Route != ""
			m.depth = max(m.depth, strings.Count(match.Path, "/"))
		}
	}
	return m
}

// find looks for the best match, best first; see [Match] for the order.
func (m matcher) find(route, host, path string) (*Target, bool) {
	path = cut(path, m.depth)
	if route != "" {
		if t, ok := m.longest(route, host, path); ok {
			return t, true
		}
	}
	return m.longest("", host, path)
}

func (m matcher) longest(route, host, path string) (*Target, bool) {
	for {
		if t, ok := m.targets[Match{route, host, path}]; ok {
			return t, true
		}
		if t, ok := m.targets[Match{route, "", path}]; ok {
			return t, true
		}
		if path == "" {
			return nil, false
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
}

// cut is path without the segments after the first n.
func cut(path string, n int) string {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if n == 0 {
			return path[:i]
		}
		n--
	}
	return path
}
