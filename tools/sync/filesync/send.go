package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"keyward/manager/files/wire"
)

// linkTries is how many links one content is tried with: each lives for minutes.
const linkTries = 5

// send sends a file in place of the version there that has an ETag (empty: of
// none), and returns the file's ETag.
func (r *run) send(ctx context.Context, name, over string, k known) error {
	f, err := openPlain(r.folder.root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if wire.Parts(k.Size) > 0 {
		err = r.sendParts(ctx, f, name, over, k)
	} else {
		err = r.sendWhole(ctx, f, name, over, k)
	}
	if errors.Is(err, errVersion) || errors.Is(err, errNotFound) {
		// It may be this very content: sent before, without the answer having come.
		if found, ferr := r.client.find(ctx, r.object(name)); ferr == nil && found.Object.ETag == k.ETag {
			return nil
		}
	}
	return err
}

func (r *run) sendWhole(ctx context.Context, f io.ReaderAt, name, over string, k known) error {
	p := wire.Put{Size: k.Size, MD5: k.ETag, Condition: condition(over)}
	return r.put(ctx, r.object(name), nil, p, func() io.Reader { return io.NewSectionReader(f, 0, k.Size) })
}

// put gets a link and sends a content with it.
func (r *run) put(ctx context.Context, object string, q url.Values, p wire.Put, content func() io.Reader) error {
	for n := 1; ; n++ {
		err := r.client.try(ctx, printable(object), func() error {
			var l wire.Link
			if err := r.client.call(ctx, http.MethodPut, object, q, nil, p, &l); err != nil {
				return err
			}
			res, err := r.client.follow(ctx, l, nil, content(), p.Size)
			if err != nil {
				return err
			}
			res.Body.Close()
			return nil
		})
		if !errors.Is(err, errEnded) || n == linkTries {
			return err
		}
	}
}

// sendParts sends a large file. One that was cut short goes on where it was.
func (r *run) sendParts(ctx context.Context, f io.ReaderAt, name, over string, k known) error {
	sum, err := wire.SumOf(io.NewSectionReader(f, 0, k.Size))
	if err != nil {
		return err
	}
	if sum.ETag != k.ETag {
		return errChanged
	}
	object := r.object(name)
	up, have, err := r.upload(ctx, name, k)
	if err != nil {
		return err
	}
	q := url.Values{wire.QueryUpload: {up.ID}}
	done := wire.Complete{Condition: condition(over)}
	progress := r.progress("push", name, k.Size)
	for i, md5 := range sum.Parts {
		at := int64(i) * wire.PartSize
		size := min(wire.PartSize, k.Size-at)
		if have[i+1] != md5 {
			q := url.Values{wire.QueryUpload: {up.ID}, wire.QueryPart: {strconv.Itoa(i + 1)}}
			err := r.put(ctx, object, q, wire.Put{Size: size, MD5: md5}, func() io.Reader { return io.NewSectionReader(f, at, size) })
			if errors.Is(err, errNotFound) {
				delete(r.state.Uploads, name) // the store has forgotten it
			}
			if err != nil {
				return fmt.Errorf("part %d of %d: %w", i+1, len(sum.Parts), err)
			}
		}
		done.Parts = append(done.Parts, wire.Part{Number: i + 1, ETag: md5})
		progress(at + size)
	}
	err = r.client.call(ctx, http.MethodPost, object, q, nil, done, nil)
	if err == nil || errors.Is(err, errVersion) || errors.Is(err, errNotFound) {
		delete(r.state.Uploads, name)
	}
	if errors.Is(err, errVersion) { // nobody else will
		_ = r.client.call(ctx, http.MethodDelete, object, q, nil, nil, nil)
	}
	return err
}

// upload begins an upload, or goes on with the one that was begun for the same
// content: with the parts that it has, by number.
func (r *run) upload(ctx context.Context, name string, k known) (upload, map[int]string, error) {
	object, have := r.object(name), map[int]string{}
	if up, ok := r.state.Uploads[name]; ok && up.ETag == k.ETag {
		var l wire.PartList
		err := r.client.call(ctx, http.MethodGet, object, url.Values{wire.QueryUpload: {up.ID}}, nil, nil, &l)
		if err == nil {
			for _, p := range l.Parts {
				have[p.Number] = p.ETag
			}
			return up, have, nil
		}
		if !errors.Is(err, errNotFound) {
			return up, nil, err
		}
	}
	var u wire.Upload
	if err := r.client.call(ctx, http.MethodPost, object, url.Values{wire.QueryUpload: {""}}, nil, wire.NewUpload{Size: k.Size}, &u); err != nil {
		return upload{}, nil, err
	}
	if u.PartSize != wire.PartSize {
		return upload{}, nil, fmt.Errorf("the service wants parts of %d bytes, and this keyward-sync knows %d: they are too far apart in age", u.PartSize, wire.PartSize)
	}
	up := upload{ID: u.ID, ETag: k.ETag}
	r.state.Uploads[name] = up
	return up, have, r.state.save(r.folder.root)
}
