package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a name, in bytes. A presigned URL holds a name percent-encoded, and
// has to pass the gateway.
const (
	MaxName    = 512
	MaxSegment = 255 // what file systems take
)

// Reserved begins the names of keyward-sync's own files. No object may have one:
// what another writer of a shared prefix puts there would be taken for its own.
const Reserved = ".keyward-sync"

// ErrName says that a name can't be that of an object.
var ErrName = errors.New("no name of an object")

// CheckName checks the name of an object, or a prefix without its last slash:
// segments that are the same to a file system, an object store and a gateway.
// What a gateway refuses in a path (%, ; and \, in any encoding) is refused here
// too.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: it has %d bytes, and 1 to %d are allowed", ErrName, len(name), MaxName)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w: it is not UTF-8", ErrName)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == '%' || r == ';' || r == '\\' {
			return fmt.Errorf("%w: %q holds %U", ErrName, name, r)
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "", segment == ".", segment == "..":
			return fmt.Errorf("%w: %q has a segment %q", ErrName, name, segment)
		case len(segment) > MaxSegment:
			return fmt.Errorf("%w: %q has a segment of more than %d bytes", ErrName, name, MaxSegment)
		case strings.HasPrefix(segment, Reserved):
			return fmt.Errorf("%w: %q begins with %s, which is keyward-sync's own", ErrName, segment, Reserved)
		}
	}
	return nil
}

// Within reports whether name is prefix, or below it by whole segments. An empty
// prefix has all names.
func Within(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/')
}

// ValidPrefix reports whether a prefix can be one that access is given to: without
// what an object store's policy takes for a pattern or a variable.
func ValidPrefix(prefix string) bool {
	return CheckName(prefix) == nil && !strings.ContainsAny(prefix, "*?${}")
}
