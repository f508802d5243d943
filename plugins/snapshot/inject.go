package snapshot

import "strings"

func checkInject(i *Inject) *Error {
	if i == nil {
		return nil
	}
	var name, prefix, username bool // may be set
	switch i.Form {
	case Bearer:
	case Header:
		name, prefix = true, true
		if !validHeader(i.Name) {
			return fault("/name", "must be the lower-case name of a header that neither frames nor routes a message")
		}
	case Query:
		name = true
		if i.Name == "" || !all(i.Name, isQueryName) {
			return fault("/name", "must be a query parameter of letters, digits, dot, underscore, hyphen and tilde")
		}
	case Basic:
		username = true
		if i.Username == "" || hasControl(i.Username) || strings.Contains(i.Username, ":") {
			return fault("/username", "must be set, without colon and control characters")
		}
	default:
		return fault("/form", "must be bearer, header, query or basic")
	}
	switch {
	case i.Name != "" && !name:
		return fault("/name", "only for the forms header and query")
	case i.Prefix != "" && !prefix:
		return fault("/prefix", "only for the form header")
	case i.Username != "" && !username:
		return fault("/username", "only for the form basic")
	case !all(i.Prefix, func(c byte) bool { return ' ' <= c && c < 0x7f }):
		return fault("/prefix", "must be ASCII without control characters")
	case strings.HasPrefix(i.Prefix, " "):
		return fault("/prefix", "must not begin with a space")
	}
	return nil
}
