package snapshot

func checkRemoved(s *Snapshot) *Error {
	if s.Removed == nil {
		return nil
	}
	return first(
		checkGone("/removed/targets", s.Removed.Targets, s.Targets, func(t *Target) string { return t.ID }),
		checkGone("/removed/consumers", s.Removed.Consumers, s.Consumers, func(c *Consumer) string { return c.ID }),
		checkGone("/removed/credentials", s.Removed.Credentials, s.Credentials, func(c *Credential) string { return c.ID }),
	)
}

// checkGone checks a list of removed IDs: an entry can't both change and go.
func checkGone[T any](pointer string, gone []string, changed []T, id func(*T) string) *Error {
	kept := make(map[string]struct{}, len(changed))
	for i := range changed {
		kept[id(&changed[i])] = struct{}{}
	}
	return first(
		each(pointer, gone, func(g *string) *Error {
			if _, both := kept[*g]; both {
				return fault("", "both changed and removed")
			}
			return checkID("", *g)
		}),
		unique(pointer, "entry", gone, func(g *string) string { return *g }),
	)
}
