package objects

import (
	"context"

	"github.com/minio/minio-go/v7"

	"keyward/manager/files/wire"
)

// Stat returns an object's present version.
func (s *Store) Stat(ctx context.Context, name string) (wire.Object, error) {
	o, err := s.stat(ctx, name)
	return object(o), err
}

func (s *Store) stat(ctx context.Context, name string) (minio.ObjectInfo, error) {
	if err := wire.CheckName(name); err != nil {
		return minio.ObjectInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	o, err := s.core.StatObject(ctx, s.opt.Bucket, name, minio.StatObjectOptions{})
	return o, s.failed("stat", name, err)
}

// List returns a page of the objects below a prefix, of at most limit. Objects
// whose names are none here, which somebody else has put into the bucket, are left
// out.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (wire.Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if prefix != "" {
		prefix += "/"
	}
	l := wire.Listing{Objects: []wire.Object{}}
	last, n := "", 0
	for o := range s.core.ListObjectsIter(ctx, s.opt.Bucket, minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, Recursive: true, MaxKeys: limit + 1}) {
		if o.Err != nil {
			return l, s.failed("list", prefix, o.Err)
		}
		if n++; n > limit {
			l.Next = last
			return l, nil
		}
		last = o.Key
		if wire.CheckName(o.Key) == nil {
			l.Objects = append(l.Objects, object(o))
		}
	}
	return l, ctx.Err()
}

func object(o minio.ObjectInfo) wire.Object {
	return wire.Object{Name: o.Key, Size: o.Size, ETag: o.ETag, Modified: o.LastModified.UTC()}
}
