package snapshot

import "strconv"

func checkRemoved(s *Snapshot) *Error {
	if s.Removed == nil {
		return nil
	}
	var targets, consumers, credentials []string
	for i := range s.Targets {
		targets = append(targets, s.Targets[i].ID)
	}
	for i := range s.Consumers {
		consumers = append(consumers, s.Consumers[i].ID)
	}
	for i := range s.Credentials {
		credentials = append(credentials, s.Credentials[i].ID)
	}
	return first(
		checkGone("/removed/targets", s.Removed.Targets, targets),
		checkGone("/removed/consumers", s.Removed.Consumers, consumers),
		checkGone("/removed/credentials", s.Removed.Credentials, credentials),
	)
}

// checkGone checks a list of IDs: an entry can't both change and go, nor do so
// twice.
func checkGone(pointer string, gone, changed []string) *Error {
	seen := make(map[string]string, len(changed)+len(gone))
	for _, id := range changed {
		seen[id] = "both changed and removed"
	}
	for i, id := range gone {
		at := pointer + "/" + strconv.Itoa(i)
		if e := checkID(at, id); e != nil {
			return e
		}
		if problem := seen[id]; problem != "" {
			return fault(at, problem)
		}
		seen[id] = "duplicate entry"
	}
	return nil
}
