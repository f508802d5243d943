package snapshot

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"keyward/policies"
)

// Revisions are the revisions of the Model Context Protocol that an MCP target
// may accept.
var Revisions = []string{"2025-06-18", "2025-11-25", "2026-07-28"}

// kinds of a consumer.
var kinds = []string{"worker", "human", "service"}

func fault(pointer, problem string) *Error { return &Error{Pointer: pointer, Problem: problem} }

// under puts e, when there is one, below a pointer.
func under(pointer string, e *Error) *Error {
	if e != nil {
		e.Pointer = pointer + e.Pointer
	}
	return e
}

// each checks every element of a list below a pointer.
func each[T any](pointer string, list []T, check func(*T) *Error) *Error {
	for i := range list {
		if e := check(&list[i]); e != nil {
			return under(pointer+"/"+strconv.Itoa(i), e)
		}
	}
	return nil
}

// unique checks that no two elements of a list have the same key.
func unique[T any, K comparable](pointer, what string, list []T, key func(*T) K) *Error {
	seen := make(map[K]struct{}, len(list))
	for i := range list {
		k := key(&list[i])
		if _, dup := seen[k]; dup {
			return fault(pointer+"/"+strconv.Itoa(i), "duplicate "+what)
		}
		seen[k] = struct{}{}
	}
	return nil
}

// first returns the first error there is.
func first(errs ...*Error) *Error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

func checkSnapshot(s *Snapshot) *Error {
	if e := checkHead(s); e != nil {
		return e
	}
	return first(
		each("/targets", s.Targets, checkTarget),
		each("/consumers", s.Consumers, checkConsumer),
		each("/credentials", s.Credentials, checkCredential),
		unique("/targets", "target", s.Targets, func(t *Target) string { return t.ID }),
		unique("/consumers", "consumer", s.Consumers, func(c *Consumer) string { return c.ID }),
		unique("/credentials", "credential", s.Credentials, func(c *Credential) string { return c.ID }),
		checkRemoved(s),
	)
}

// checkHead checks what is no entry.
func checkHead(s *Snapshot) *Error {
	switch {
	case s.Format != Format:
		return fault("/format", "must be "+strconv.Quote(Format))
	case s.Generation == 0:
		return fault("/generation", "must be 1 or more")
	case s.Since >= s.Generation:
		return fault("/since", "must be smaller than the generation")
	case s.SessionKey != nil && len(s.SessionKey) != SessionKeyBytes:
		return fault("/session_key", "must be 32 bytes")
	case s.Removed != nil && s.Since == 0:
		return fault("/removed", "only a delta removes")
	}
	if e := checkID("/epoch", s.Epoch); e != nil {
		return e
	}
	if s.Policy != nil {
		return under("/policy", checkPolicy(s.Policy))
	}
	return nil
}

func checkPolicy(p *Policy) *Error {
	if len(p.Program) == 0 {
		return fault("/program", "is missing")
	}
	return checkID("/version", p.Version)
}

func checkTarget(t *Target) *Error {
	switch t.Kind {
	case policies.KindMCP, policies.KindLLM, policies.KindHTTP:
	default:
		return fault("/kind", "must be mcp, llm or http")
	}
	switch {
	case len(t.Match) == 0:
		return fault("/match", "at least one match is needed")
	case t.Credential != "" && t.Inject == nil:
		return fault("/inject", "is missing: where does the credential go?")
	case t.MCP != nil && t.Kind != policies.KindMCP:
		return fault("/mcp", "only for kind mcp")
	}
	if t.Credential != "" {
		if e := checkID("/credential", t.Credential); e != nil {
			return e
		}
	}
	return first(
		checkID("/id", t.ID),
		checkLabels("/labels", t.Labels),
		each("/match", t.Match, checkMatch),
		unique("/match", "match", t.Match, func(m *Match) Match { return m.canonical() }),
		under("/upstream", checkUpstream(&t.Upstream)),
		under("/inject", checkInject(t.Inject)),
		under("/mcp", checkMCP(t.MCP)),
	)
}

func checkMatch(m *Match) *Error {
	switch {
	case *m == Match{}:
		return fault("", "at least one of route, host and path is needed")
	case !printable(m.Route):
		return fault("/route", "has a space or a character that is not ASCII")
	case m.Host != "" && !validHost(m.Host):
		return fault("/host", "must be a lower-case host name or address without port")
	case m.Path != "" && !validPath(m.Path):
		return fault("/path", "must be a path of whole segments, without dots, escapes and a slash at its end")
	}
	return nil
}

func checkUpstream(u *Upstream) *Error {
	// To the encoder an empty list is an absent one, which does not restrict.
	switch {
	case u.Clusters != nil && len(u.Clusters) == 0:
		return fault("/clusters", "must not be empty; leave it out for no restriction")
	case u.Hosts != nil && len(u.Hosts) == 0:
		return fault("/hosts", "must not be empty; leave it out for no restriction")
	}
	return first(
		each("/clusters", u.Clusters, func(c *string) *Error {
			if *c == "" || !printable(*c) {
				return fault("", "must be the name of a cluster")
			}
			return nil
		}),
		each("/hosts", u.Hosts, func(h *string) *Error {
			if !validHost(*h) {
				return fault("", "must be a lower-case host name or address without port")
			}
			return nil
		}),
	)
}

func checkMCP(m *MCP) *Error {
	if m == nil {
		return nil
	}
	if m.Revisions != nil && len(m.Revisions) == 0 {
		return fault("/revisions", "must not be empty; leave it out for all of them")
	}
	return first(
		each("/revisions", m.Revisions, func(r *string) *Error {
			if !slices.Contains(Revisions, *r) {
				return fault("", "must be one of "+strings.Join(Revisions, ", "))
			}
			return nil
		}),
		each("/origins", m.Origins, func(o *string) *Error {
			scheme, host, ok := strings.Cut(*o, "://")
			if !ok || scheme == "" || host == "" || !printable(*o) || strings.ContainsAny(host, "/*") {
				return fault("", "must be an origin such as https://example.com")
			}
			return nil
		}),
	)
}

func checkConsumer(c *Consumer) *Error {
	if !slices.Contains(kinds, c.Kind) {
		return fault("/kind", "must be "+strings.Join(kinds, ", "))
	}
	switch c.State {
	case Active, Suspended, Revoked:
	default:
		return fault("/state", "must be active, suspended or revoked")
	}
	for _, target := range slices.Sorted(maps.Keys(c.Credentials)) {
		pointer := "/credentials/" + escape(target)
		if e := first(checkID(pointer, target), checkID(pointer, c.Credentials[target])); e != nil {
			return e
		}
	}
	return first(
		checkID("/id", c.ID),
		checkLabels("/labels", c.Labels),
		each("/tokens", c.Tokens, checkToken),
		unique("/tokens", "token", c.Tokens, func(t *Token) string { return t.ID }),
		each("/grants", c.Grants, checkGrant),
		unique("/grants", "grant", c.Grants, func(g *Grant) string { return g.ID }),
	)
}

func checkToken(t *Token) *Error {
	if _, ok := digest(t.SHA256); !ok {
		return fault("/sha256", "must be 64 lower-case hex digits")
	}
	if t.Expires < 0 {
		return fault("/expires", "must not be negative")
	}
	return checkID("/id", t.ID)
}

func checkGrant(g *Grant) *Error {
	switch {
	case g.Expires < 0:
		return fault("/expires", "must not be negative")
	case g.Methods != nil && len(g.Methods) == 0:
		return fault("/methods", "must not be empty; leave it out for every method")
	case g.Paths != nil && len(g.Paths) == 0:
		return fault("/paths", "must not be empty; leave it out for every path")
	}
	return first(
		checkID("/id", g.ID),
		checkID("/target", g.Target),
		each("/methods", g.Methods, func(m *string) *Error {
			if *m != "*" && !validMethod(*m) {
				return fault("", "must be an HTTP method in upper case, or *")
			}
			return nil
		}),
		each("/paths", g.Paths, func(p *string) *Error {
			if *p != "*" && !validPath(*p) {
				return fault("", "must be a path of whole segments, without dots, escapes and a slash at its end, or *")
			}
			return nil
		}),
		checkArguments(g.Arguments),
	)
}

// checkArguments finds values that could not be written as they are meant.
func checkArguments(arguments map[string]map[string][]any) *Error {
	for _, tool := range slices.Sorted(maps.Keys(arguments)) {
		for _, name := range slices.Sorted(maps.Keys(arguments[tool])) {
			if !isJSON(arguments[tool][name], MaxValueDepth+1) {
				return fault("/arguments/"+escape(tool)+"/"+escape(name), "values must be JSON, at most "+strconv.Itoa(MaxValueDepth)+" deep")
			}
		}
	}
	return nil
}

// isJSON reports whether v is made of the types that [policies.Grant] has for
// JSON values, at most depth deep.
func isJSON(v any, depth int) bool {
	if depth == 0 {
		return false
	}
	switch v := v.(type) {
	case nil, bool, string, policies.Number:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(v any) bool { return !isJSON(v, depth-1) })
	case map[string]any:
		for _, v := range v {
			if !isJSON(v, depth-1) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func checkCredential(c *Credential) *Error {
	switch {
	case c.Version == 0:
		return fault("/version", "must be 1 or more")
	case len(c.Sealed) == 0:
		return fault("/sealed", "at least one sealing is needed")
	}
	return first(
		checkID("/id", c.ID),
		under("/upstream", checkUpstream(&c.Upstream)),
		each("/sealed", c.Sealed, func(s *Sealed) *Error {
			if len(s.Data) == 0 {
				return fault("/data", "is missing")
			}
			return checkID("/key", s.Key)
		}),
		unique("/sealed", "gateway key", c.Sealed, func(s *Sealed) string { return s.Key }),
	)
}

func checkLabels(pointer string, labels map[string]string) *Error {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name == "" || hasControl(name) || hasControl(labels[name]) {
			return fault(pointer+"/"+escape(name), "a label needs a name, and neither name nor value a control character")
		}
	}
	return nil
}

func checkID(pointer, id string) *Error {
	if id == "" {
		return fault(pointer, "is missing")
	}
	if !ValidID(id) {
		return fault(pointer, "must be 1 to "+strconv.Itoa(MaxIDBytes)+" of a-z, 0-9, dot, underscore and hyphen, and begin with a letter or digit")
	}
	return nil
}

// escape makes a name part of a JSON pointer; RFC 6901 section 3.
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
