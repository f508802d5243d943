package snapshot

import (
	"crypto/sha256"
	"strconv"

	"keyward/plugins/internal/strict"
	"keyward/policies"
)

// An Error says what is wrong with a snapshot and where: as a JSON pointer and,
// when it was read from a document, as line and column.
type Error = strict.Error

// Decode reads a snapshot or a delta. What it returns is well formed, entry by
// entry; whether the entries fit together is for [NewView] and [View.Apply] to
// say. Errors are [*Error].
func Decode(b []byte) (*Snapshot, error) {
	return decode(b, readSnapshot, checkSnapshot)
}

// DecodeConfig reads the configuration of a plugin, an object with the member
// "snapshot", as [Decode] does. What other members are for other to read; nil:
// there is none. Without a snapshot, which other must allow by reading at least
// one member, the result is nil.
func DecodeConfig(b []byte, other func(r *strict.Reader, name string) error) (*Snapshot, error) {
	type config struct{ s *Snapshot }
	c, err := decode(b, func(r *strict.Reader, c *config) error {
		others := 0
		err := r.Object(func(name string) error {
			if name == "snapshot" {
				c.s = &Snapshot{}
				return readSnapshot(r, c.s)
			}
			if other == nil {
				return r.Unknown()
			}
			others++
			return other(r, name)
		})
		if err == nil && c.s == nil && others == 0 {
			return r.Fail(`"snapshot" is missing`)
		}
		return err
	}, func(c *config) *Error {
		if c.s == nil {
			return nil
		}
		return under("/snapshot", checkSnapshot(c.s))
	})
	if err != nil {
		return nil, err
	}
	return c.s, nil
}

// DecodeTarget reads one target, as it stands in a snapshot.
func DecodeTarget(b []byte) (*Target, error) { return decode(b, readTarget, checkTarget) }

// DecodeConsumer reads one consumer, as it stands in a snapshot.
func DecodeConsumer(b []byte) (*Consumer, error) { return decode(b, readConsumer, checkConsumer) }

// DecodeCredential reads one credential, as it stands in a snapshot.
func DecodeCredential(b []byte) (*Credential, error) {
	return decode(b, readCredential, checkCredential)
}

func decode[T any](b []byte, read func(*strict.Reader, *T) error, check func(*T) *Error) (*T, error) {
	if len(b) > MaxBytes {
		return nil, &Error{Problem: "larger than " + strconv.Itoa(MaxBytes) + " bytes"}
	}
	v, r := new(T), strict.NewReader(b)
	if err := read(r, v); err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	if err := check(v); err != nil {
		err.Locate(b)
		return nil, err
	}
	return v, nil
}

func readSnapshot(r *strict.Reader, s *Snapshot) error {
	return r.Object(func(name string) error {
		switch name {
		case "targets":
			return list(r, &s.Targets, MaxTargets, readTarget)
		case "consumers":
			return list(r, &s.Consumers, MaxConsumers, readConsumer)
		case "credentials":
			return list(r, &s.Credentials, MaxCredentials, readCredential)
		default:
			return readHead(r, s, name)
		}
	})
}

func readTarget(r *strict.Reader, t *Target) error {
	return r.Object(func(name string) error {
		switch name {
		case "id":
			return r.String(&t.ID, MaxIDBytes)
		case "kind":
			return r.String((*string)(&t.Kind), MaxIDBytes)
		case "labels":
			return readLabels(r, &t.Labels)
		case "match":
			return list(r, &t.Match, MaxMatches, readMatch)
		case "upstream":
			return readUpstream(r, &t.Upstream)
		case "credential":
			return r.String(&t.Credential, MaxIDBytes)
		case "inject":
			t.Inject = &Inject{}
			return readInject(r, t.Inject)
		case "mcp":
			t.MCP = &MCP{}
			return readMCP(r, t.MCP)
		case "audit":
			t.Audit = &Audit{}
			return readAudit(r, t.Audit)
		default:
			return r.Unknown()
		}
	})
}

func readMatch(r *strict.Reader, m *Match) error {
	return r.Object(func(name string) error {
		switch name {
		case "route":
			return r.String(&m.Route, MaxRouteBytes)
		case "host":
			return r.String(&m.Host, MaxHostBytes)
		case "path":
			return r.String(&m.Path, MaxPathBytes)
		default:
			return r.Unknown()
		}
	})
}

func readUpstream(r *strict.Reader, u *Upstream) error {
	return r.Object(func(name string) error {
		switch name {
		case "clusters":
			return strict.Strings(r, &u.Clusters, MaxUpstreams, MaxRouteBytes)
		case "hosts":
			return strict.Strings(r, &u.Hosts, MaxUpstreams, MaxHostBytes)
		default:
			return r.Unknown()
		}
	})
}

func readInject(r *strict.Reader, i *Inject) error {
	return r.Object(func(name string) error {
		switch name {
		case "form":
			return r.String((*string)(&i.Form), MaxTextBytes)
		case "name":
			return r.String(&i.Name, MaxTextBytes)
		case "prefix":
			return r.String(&i.Prefix, MaxTextBytes)
		case "username":
			return r.String(&i.Username, MaxTextBytes)
		default:
			return r.Unknown()
		}
	})
}

func readMCP(r *strict.Reader, m *MCP) error {
	return r.Object(func(name string) error {
		switch name {
		case "revisions":
			return strict.Strings(r, &m.Revisions, MaxRevisions, MaxTextBytes)
		case "origins":
			return strict.Strings(r, &m.Origins, MaxOrigins, MaxTextBytes)
		default:
			return r.Unknown()
		}
	})
}

func readConsumer(r *strict.Reader, c *Consumer) error {
	return r.Object(func(name string) error {
		switch name {
		case "id":
			return r.String(&c.ID, MaxIDBytes)
		case "kind":
			return r.String(&c.Kind, MaxIDBytes)
		case "labels":
			return readLabels(r, &c.Labels)
		case "state":
			return r.String((*string)(&c.State), MaxIDBytes)
		case "tokens":
			return list(r, &c.Tokens, MaxTokens, readToken)
		case "grants":
			return list(r, &c.Grants, MaxGrants, readGrant)
		case "credentials":
			return strict.Map(r, &c.Credentials, MaxOverrides, MaxIDBytes, func(id *string) error {
				return r.String(id, MaxIDBytes)
			})
		default:
			return r.Unknown()
		}
	})
}

func readToken(r *strict.Reader, t *Token) error {
	return r.Object(func(name string) error {
		switch name {
		case "id":
			return r.String(&t.ID, MaxIDBytes)
		case "sha256":
			return r.String(&t.SHA256, 2*sha256.Size)
		case "expires":
			return r.Int64(&t.Expires)
		case "revoked":
			return r.Bool(&t.Revoked)
		default:
			return r.Unknown()
		}
	})
}

func readGrant(r *strict.Reader, g *Grant) error {
	return r.Object(func(name string) error {
		switch name {
		case "target":
			return r.String(&g.Target, MaxIDBytes)
		case "id":
			return r.String(&g.ID, MaxIDBytes)
		case "tools":
			return strict.Strings(r, &g.Tools, MaxNames, policies.MaxNameBytes)
		case "prompts":
			return strict.Strings(r, &g.Prompts, MaxNames, policies.MaxNameBytes)
		case "resources":
			return strict.Strings(r, &g.Resources, MaxNames, policies.MaxURIBytes)
		case "arguments":
			return readArguments(r, &g.Arguments)
		case "methods":
			return strict.Strings(r, &g.Methods, MaxNames, MaxTextBytes)
		case "paths":
			return strict.Strings(r, &g.Paths, MaxNames, MaxPathBytes)
		case "expires":
			return r.Int64(&g.Expires)
		default:
			return r.Unknown()
		}
	})
}

func readArguments(r *strict.Reader, a *map[string]map[string][]any) error {
	return strict.Map(r, a, MaxNames, policies.MaxNameBytes, func(tool *map[string][]any) error {
		return strict.Map(r, tool, MaxNames, policies.MaxNameBytes, func(values *[]any) error {
			*values = []any{} // an empty list allows no value; it is not an absent one
			return strict.List(r, values, MaxNames, func(v *any) error { return r.Any(v, MaxValueDepth, MaxNames) })
		})
	})
}

func readCredential(r *strict.Reader, c *Credential) error {
	return r.Object(func(name string) error {
		switch name {
		case "id":
			return r.String(&c.ID, MaxIDBytes)
		case "version":
			return r.Uint64(&c.Version)
		case "upstream":
			return readUpstream(r, &c.Upstream)
		case "sealed":
			return list(r, &c.Sealed, MaxSealed, readSealed)
		default:
			return r.Unknown()
		}
	})
}

func readSealed(r *strict.Reader, s *Sealed) error {
	return r.Object(func(name string) error {
		switch name {
		case "key":
			return r.String(&s.Key, MaxIDBytes)
		case "data":
			return r.Base64(&s.Data, MaxSealedBytes)
		default:
			return r.Unknown()
		}
	})
}

func readLabels(r *strict.Reader, m *map[string]string) error {
	return strict.Map(r, m, MaxLabels, MaxLabelBytes, func(v *string) error { return r.String(v, MaxLabelBytes) })
}

func list[T any](r *strict.Reader, dst *[]T, limit int, read func(*strict.Reader, *T) error) error {
	return strict.List(r, dst, limit, func(v *T) error { return read(r, v) })
}
