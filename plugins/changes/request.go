package changes

import (
	"errors"
	"strconv"
	"strings"

	"keyward/plugins/snapshot"
)

// Path is where a Manager answers.
const Path = "/gateway/v1/changes"

// Headers of the exchange, in lower case.
const (
	NonceHeader      = "keyward-nonce"
	SignatureHeader  = "keyward-signature"
	CursorHeader     = "keyward-cursor"
	ConsistentHeader = "keyward-consistent" // "true", or absent
)

// Bounds of the exchange.
const (
	MaxWait     = 55        // seconds that an answer may be held back
	MaxPage     = 128 << 10 // bytes after which a page ends; one entry may be larger
	minNonce    = 22        // characters: 128 bits
	maxNonce    = 64
	maxEpoch    = 128
	maxCursor   = 256
	maxInstance = 64
	maxBuild    = 64
	maxQuery    = 1024
	maxDecimals = 20 // of a generation
)

// A Request asks what changed.
type Request struct {
	Epoch    string            // of what the gateway has; empty: it has nothing
	Since    uint64            // generation of what it has; 0 when Epoch is empty
	Wait     int               // seconds to wait for a change
	Cursor   string            // of the page before; empty: the first page
	Instance string            // who asks, of all that use one gateway token
	Build    string            // of which plugin it is; empty: not told. Nothing depends on it
	For      snapshot.Audience // whose entries it wants
	Nonce    string            // never used before; at least 128 random bits as base64url
}

// Target is the request's path with its query.
func (r Request) Target() string {
	s := Path + "?wait=" + strconv.Itoa(r.Wait)
	if r.Epoch != "" {
		s += "&since=" + r.Epoch + "." + strconv.FormatUint(r.Since, 10)
	}
	if r.Cursor != "" {
		s += "&cursor=" + r.Cursor
	}
	if r.Instance != "" {
		s += "&instance=" + r.Instance
	}
	if r.Build != "" {
		s += "&build=" + r.Build
	}
	if r.For != snapshot.Everyone {
		s += "&for=" + string(r.For)
	}
	return s
}

var errRequest = errors.New("want since=EPOCH.GENERATION, wait=SECONDS up to 55, cursor=CURSOR, instance=ID, build=NAME and for=gate or key-swap, each at most once and unescaped")

// ParseRequest reads the query of a request, which is never escaped, and its
// nonce.
func ParseRequest(query, nonce string) (Request, error) {
	r := Request{Nonce: nonce}
	if len(nonce) < minNonce || len(nonce) > maxNonce || !plain(nonce) {
		return Request{}, errors.New("want " + NonceHeader + " with 22 to 64 characters of base64url")
	}
	if len(query) > maxQuery {
		return Request{}, errRequest
	}
	seen := map[string]bool{}
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(part, "=")
		if seen[name] || !plain(value) || !r.set(name, value) {
			return Request{}, errRequest
		}
		seen[name] = true
	}
	return r, nil
}

func (r *Request) set(name, value string) bool {
	switch name {
	case "since":
		dot := strings.LastIndexByte(value, '.')
		if dot <= 0 || dot > maxEpoch {
			return false
		}
		n, ok := decimal(value[dot+1:])
		r.Epoch, r.Since = value[:dot], n
		return ok && n > 0
	case "wait":
		n, ok := decimal(value)
		r.Wait = int(min(n, MaxWait+1))
		return ok && r.Wait <= MaxWait
	case "cursor":
		r.Cursor = value
		return value != "" && len(value) <= maxCursor
	case "instance":
		r.Instance = value
		return value != "" && len(value) <= maxInstance
	case "build":
		r.Build = value
		return value != "" && len(value) <= maxBuild
	case "for":
		r.For = snapshot.Audience(value)
		return value != "" && r.For.Known()
	default:
		return false
	}
}

// decimal reads a number written in the one way that it can be.
func decimal(s string) (uint64, bool) {
	if s == "" || len(s) > maxDecimals || s[0] == '0' && s != "0" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// plain reports whether s needs no escaping in a query.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-', c == '~':
		default:
			return false
		}
	}
	return true
}
