package objects

import (
	"context"

	"github.com/minio/minio-go/v7"

	"keyward/manager"
)

// Delete deletes the version of an object with an ETag. S3 has no such request: the
// object is deleted, then it is looked at what that hit, and undone if that was a
// version that came in between. Nobody can read the object meanwhile, and nobody's
// version is lost.
func (s *Store) Delete(ctx context.Context, name, etag string) error {
	o, err := s.stat(ctx, name)
	if err != nil {
		return err
	}
	if o.ETag != etag {
		return changed(name)
	}
	// What has begun is brought to its end, whoever has hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	marker, err := s.mark(ctx, name)
	if err != nil {
		return s.failed("delete", name, err)
	}
	hit, err := s.newest(ctx, name)
	if err != nil {
		return s.failed("delete", name, err)
	}
	if hit == o.VersionID {
		return nil
	}
	err = s.core.RemoveObject(ctx, s.opt.Bucket, name, minio.RemoveObjectOptions{VersionID: marker})
	if err != nil {
		return s.failed("undo a deletion", name, err)
	}
	return changed(name)
}

func changed(name string) error {
	return &manager.Error{Kind: manager.KindFile, ID: name, Err: manager.ErrVersion}
}

// mark puts a delete marker on an object, and returns the marker's version.
func (s *Store) mark(ctx context.Context, name string) (version string, err error) {
	one := make(chan minio.ObjectInfo, 1)
	one <- minio.ObjectInfo{Key: name}
	close(one)
	for r := range s.core.RemoveObjectsWithResult(ctx, s.opt.Bucket, one, minio.RemoveObjectsOptions{}) {
		version, err = r.DeleteMarkerVersionID, r.Err
	}
	return version, err
}

// newest is the newest version of an object that is no delete marker; empty: there
// is none.
func (s *Store) newest(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range s.core.ListObjectsIter(ctx, s.opt.Bucket, minio.ListObjectsOptions{Prefix: name, WithVersions: true, Recursive: true}) {
		switch {
		case o.Err != nil:
			return "", o.Err
		case o.Key != name: // versions of one name come together, and first
			return "", nil
		case !o.IsDeleteMarker:
			return o.VersionID, nil
		}
	}
	return "", ctx.Err()
}
