package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"keyward/manager/files/wire"
)

// fetch brings an object's present version to a file of the folder's own place. It
// returns where that is, and the version's ETag. What was cut short goes on where it
// was, also in a later run.
func (r *run) fetch(ctx context.Context, name string) (from, etag string, err error) {
	for n := 1; ; n++ {
		found, err := r.client.find(ctx, r.object(name))
		if err != nil {
			return "", "", err
		}
		o := found.Object
		if !wire.ValidETag(o.ETag) || o.Size < 0 {
			return "", "", errors.New("the service named an odd ETag or size")
		}
		from = ownDir + "/get-" + o.ETag
		err = r.client.try(ctx, printable(name), func() error {
			err := r.download(ctx, found, from, name)
			if errors.As(err, new(later)) { // with another link, if it takes long
				if again, ferr := r.client.find(ctx, r.object(name)); ferr == nil && again.Object.ETag == o.ETag {
					found = again
				}
			}
			return err
		})
		if err == nil {
			return from, o.ETag, r.verify(from, o)
		}
		// A link that ended, or a version that is not the present one any more.
		if !errors.Is(err, errEnded) && !errors.Is(err, errVersion) || n == linkTries {
			return "", "", err
		}
	}
}

// download fetches what is missing of a file.
func (r *run) download(ctx context.Context, found wire.Found, to, name string) error {
	f, err := r.folder.root.OpenFile(to, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	at, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	size := found.Object.Size
	if at > size {
		at = 0
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
	if at == size && size > 0 {
		return nil
	}
	headers := map[string]string{}
	if at > 0 {
		headers["Range"] = "bytes=" + strconv.FormatInt(at, 10) + "-"
	}
	res, err := r.client.follow(ctx, found.Link, headers, nil, 0)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if at > 0 && res.StatusCode != 206 {
		at = 0
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
	progress := r.progress("pull", name, size)
	w := &counted{w: io.NewOffsetWriter(f, at), at: at, progress: progress}
	// One byte more than there should be shows that there is more.
	n, err := io.Copy(w, io.LimitReader(res.Body, size-at+1))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.err != nil: // such as a full disk
		return w.err
	case at+n > size:
		return errors.Join(fmt.Errorf("the object has more than its %d bytes", size), f.Truncate(0))
	case err != nil || at+n < size:
		return later{errors.New("the content was cut short")}
	}
	return f.Sync()
}

// verify holds a fetched file against its ETag: whoever may write below a shared
// prefix could have a store believe in another one.
func (r *run) verify(from string, o wire.Object) error {
	f, err := openPlain(r.folder.root, from)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := wire.SumOf(f)
	if err != nil {
		return err
	}
	if sum.ETag != o.ETag && !otherParts(o.ETag, sum) {
		return errors.Join(fmt.Errorf("its content is not what its ETag %s says", o.ETag), r.folder.root.Remove(from))
	}
	return nil
}

// otherParts reports whether an ETag is that of an object in parts of another size,
// which somebody else has put there: it can't be checked.
func otherParts(etag string, s wire.Sum) bool {
	want := strconv.Itoa(len(s.Parts))
	_, n, many := strings.Cut(etag, "-")
	return many && n != want
}

// A counted writer tells how far it is, and keeps its own errors apart from those
// of whom it is fed by.
type counted struct {
	w        io.Writer
	at       int64
	err      error
	progress func(int64)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.at, c.err = c.at+int64(n), err
	c.progress(c.at)
	return n, err
}

// tidy removes what earlier runs have left that nothing waits for.
func (r *run) tidy() {
	list, err := fs.ReadDir(r.folder.root.FS(), ownDir)
	if err != nil {
		return
	}
	for _, d := range list {
		if strings.HasPrefix(d.Name(), "get-") {
			_ = r.folder.root.Remove(ownDir + "/" + d.Name()) // the next run tries again
		}
	}
}
