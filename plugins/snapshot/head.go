package snapshot

import "keyward/plugins/internal/strict"

// readHead reads a member that is no list of entries.
func readHead(r *strict.Reader, s *Snapshot, name string) error {
	switch name {
	case "format":
		return r.String(&s.Format, MaxTextBytes)
	case "epoch":
		return r.String(&s.Epoch, MaxIDBytes)
	case "generation":
		return r.Uint64(&s.Generation)
	case "since":
		return r.Uint64(&s.Since)
	case "policy":
		s.Policy = &Policy{}
		return readPolicy(r, s.Policy)
	case "session_key":
		return r.Base64(&s.SessionKey, SessionKeyBytes)
	case "removed":
		s.Removed = &Removed{}
		return readRemoved(r, s.Removed)
	default:
		return r.Unknown()
	}
}

func readRemoved(r *strict.Reader, v *Removed) error {
	return r.Object(func(name string) error {
		switch name {
		case "targets":
			return strict.Strings(r, &v.Targets, MaxTargets, MaxIDBytes)
		case "consumers":
			return strict.Strings(r, &v.Consumers, MaxConsumers, MaxIDBytes)
		case "credentials":
			return strict.Strings(r, &v.Credentials, MaxCredentials, MaxIDBytes)
		default:
			return r.Unknown()
		}
	})
}

func readPolicy(r *strict.Reader, p *Policy) error {
	return r.Object(func(name string) error {
		switch name {
		case "version":
			return r.String(&p.Version, MaxIDBytes)
		case "program":
			return r.Base64(&p.Program, MaxProgramBytes)
		default:
			return r.Unknown()
		}
	})
}
