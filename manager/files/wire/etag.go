package wire

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PartSize is the size of every part of a large object but its last, in bytes. An
// object up to this size is put whole. It never changes: ETags depend on it.
const PartSize = 8 << 20

// MaxParts is what an object store takes of one object.
const MaxParts = 10_000

// Parts is how many parts an object of a size has; 0: it is put whole.
func Parts(size int64) int {
	if size <= PartSize {
		return 0
	}
	return int((size + PartSize - 1) / PartSize)
}

// An Sum is what was found out of a file's content in one pass.
type Sum struct {
	Size  int64
	ETag  string   // as the object store will have it
	Parts []string // MD5 of each part, in hex; empty for an object that is put whole
}

// SumOf reads r to its end. MD5 is what an object store takes for an ETag: it
// tells versions apart, and proves nothing.
func SumOf(r io.Reader) (Sum, error) {
	var s Sum
	for {
		h := md5.New()
		n, err := io.Copy(h, io.LimitReader(r, PartSize))
		if err != nil {
			return s, err
		}
		if n == 0 && len(s.Parts) > 0 {
			break
		}
		s.Size += n
		s.Parts = append(s.Parts, hex.EncodeToString(h.Sum(nil)))
		if n < PartSize {
			break
		}
	}
	if len(s.Parts) == 1 {
		s.ETag, s.Parts = s.Parts[0], nil
		return s, nil
	}
	var err error
	s.ETag, err = MultipartETag(s.Parts)
	return s, err
}

// MultipartETag is the ETag of an object from those of its parts.
func MultipartETag(parts []string) (string, error) {
	h := md5.New()
	for _, p := range parts {
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != md5.Size {
			return "", fmt.Errorf("the ETag of a part must be %d hex digits", 2*md5.Size)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

// ValidETag reports whether s can be an ETag, without its quotes: hex digits, and
// maybe a number of parts.
func ValidETag(s string) bool {
	sum, parts, many := strings.Cut(s, "-")
	if b, err := hex.DecodeString(sum); err != nil || len(b) != md5.Size || strings.ToLower(sum) != sum {
		return false
	}
	n, err := strconv.Atoi(parts)
	return !many || err == nil && n >= 1 && n <= MaxParts && strconv.Itoa(n) == parts
}
