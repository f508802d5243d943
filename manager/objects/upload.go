package objects

import (
	"context"
	"errors"

	"github.com/minio/minio-go/v7"

	"keyward/manager"
	"keyward/manager/files/wire"
)

// StartUpload begins an object that is sent in parts. The store forgets one that
// is never completed.
func (s *Store) StartUpload(ctx context.Context, name string) (id string, err error) {
	if err := wire.CheckName(name); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	id, err = s.core.NewMultipartUpload(ctx, s.opt.Bucket, name, minio.PutObjectOptions{})
	return id, s.failed("begin an upload", name, err)
}

// Parts returns the parts of an upload that have arrived.
func (s *Store) Parts(ctx context.Context, name, upload string) ([]wire.Part, error) {
	if err := wire.CheckName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	parts := []wire.Part{}
	for marker := 0; ; {
		r, err := s.core.ListObjectParts(ctx, s.opt.Bucket, name, upload, marker, 1000)
		if err != nil {
			return nil, s.failed("list parts", name, err)
		}
		for _, p := range r.ObjectParts {
			parts = append(parts, wire.Part{Number: p.PartNumber, ETag: trimmed(p.ETag), Size: p.Size})
		}
		if !r.IsTruncated || r.NextPartNumberMarker <= marker {
			return parts, nil
		}
		marker = r.NextPartNumberMarker
	}
}

// Complete makes an object of an upload's parts, which are in order. One that was
// completed before with the same parts is completed.
func (s *Store) Complete(ctx context.Context, name, upload string, c wire.Complete) (wire.Object, error) {
	if err := wire.CheckName(name); err != nil {
		return wire.Object{}, err
	}
	var etags []string
	var parts []minio.CompletePart
	for _, p := range c.Parts {
		etags = append(etags, p.ETag)
		parts = append(parts, minio.CompletePart{PartNumber: p.Number, ETag: p.ETag})
	}
	want, err := wire.MultipartETag(etags)
	if err != nil {
		return wire.Object{}, err
	}
	opt := minio.PutObjectOptions{}
	if c.Create {
		opt.SetMatchETagExcept("*")
	} else {
		opt.SetMatchETag(c.IfMatch)
	}
	// Putting parts together takes as long as they are many.
	done, cancel := context.WithTimeout(ctx, 4*callTimeout)
	defer cancel()
	_, err = s.core.CompleteMultipartUpload(done, s.opt.Bucket, name, upload, parts, opt)
	if err = s.failed("complete an upload", name, err); err != nil {
		if o, statErr := s.Stat(ctx, name); statErr == nil && o.ETag == want && (errors.Is(err, manager.ErrVersion) || errors.Is(err, manager.ErrNotFound)) {
			return o, nil
		}
		return wire.Object{}, err
	}
	return s.Stat(ctx, name)
}

// Abort gives up an upload. One that is not there any more is given up.
func (s *Store) Abort(ctx context.Context, name, upload string) error {
	if err := wire.CheckName(name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.failed("give up an upload", name, s.core.AbortMultipartUpload(ctx, s.opt.Bucket, name, upload))
	if errors.Is(err, manager.ErrNotFound) {
		return nil
	}
	return err
}
