// Package message turns entries of the audit log into what a Matrix room
// shows of them: a plain body, an HTML body and a field for machines.
//
// It does no I/O and knows no clock, so the same entries always make the same
// message: a message that is sent again after a crash is the message that was
// sent before.
//
// # Untrusted text
//
// Names, arguments, rules and reasons come from Workers, upstreams and
// policies. [Text] is the only way they get into a message. What it returns
// holds no line break, no control, no invisible or direction-changing
// character, nothing that a client makes a link, a mention or a pill of, and
// none of the signs with which a line says its verdict; the HTML body escapes
// it on top.
package message
