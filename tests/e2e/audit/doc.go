// Package audit holds the whole way of a decision, from a gateway's VM through
// the Manager's log into a Matrix room, against kills of each of them, and
// measures what it costs. Everything is real: programs, plugins, homeserver.
package audit
