package objects

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"

	"keyward/manager"
)

// failed is err as callers act on it; nil for none.
func (s *Store) failed(what, name string, err error) error {
	if err == nil {
		return nil
	}
	as := func(kind error) error { return &manager.Error{Kind: manager.KindFile, ID: name, Err: kind} }
	r := minio.ToErrorResponse(err)
	switch r.Code {
	case "NoSuchKey", "NoSuchUpload", "NoSuchVersion":
		return as(manager.ErrNotFound)
	case minio.PreconditionFailed:
		return as(manager.ErrVersion)
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge", "BadDigest", "InvalidDigest":
		return &manager.Error{Kind: manager.KindFile, ID: name, Err: manager.ErrInvalid, Why: r.Code}
	case "XMinioParentIsObject", "XMinioObjectExistsAsDirectory":
		return &manager.Error{Kind: manager.KindFile, ID: name, Err: manager.ErrState, Why: "a part of its path is a file"}
	}
	if r.StatusCode >= http.StatusInternalServerError || r.StatusCode == 0 {
		return fmt.Errorf("the object store %w: %s: %s", manager.ErrUnavailable, what, cause(err))
	}
	return fmt.Errorf("objects: %s: %s: status %d", what, r.Code, r.StatusCode)
}

// cause is what went wrong, without the URL that it went wrong with.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text, _, _ := strings.Cut(err.Error(), "?")
	return text
}

func trimmed(etag string) string { return strings.Trim(etag, `"`) }
