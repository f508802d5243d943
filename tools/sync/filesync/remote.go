package filesync

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"keyward/manager/files/wire"
)

// share asks what the token may do.
func (c *client) share(ctx context.Context) (wire.Share, error) {
	var s wire.Share
	return s, c.call(ctx, http.MethodGet, "", nil, nil, nil, &s)
}

// list returns all objects below a prefix. Names are without it, and have been
// checked: whoever may write below a prefix chooses them.
func (c *client) list(ctx context.Context, prefix string, refused func(name string, err error)) (map[string]wire.Object, error) {
	all := map[string]wire.Object{}
	for q := (url.Values{wire.QueryLimit: {strconv.Itoa(wire.MaxPage)}}); ; {
		var l wire.Listing
		if err := c.call(ctx, http.MethodGet, prefix+"/", q, nil, nil, &l); err != nil {
			return nil, err
		}
		for _, o := range l.Objects {
			name, ok := strings.CutPrefix(o.Name, prefix+"/")
			if !ok {
				return nil, fmt.Errorf("the service listed %q, which is not below %q", o.Name, prefix)
			}
			if err := wire.CheckName(name); err != nil {
				refused(name, err)
				continue
			}
			if !wire.ValidETag(o.ETag) || o.Size < 0 {
				refused(name, fmt.Errorf("has an odd ETag or size"))
				continue
			}
			all[name] = o
		}
		if len(all) > maxFiles {
			return nil, fmt.Errorf("there are more than %d objects below %q", maxFiles, prefix)
		}
		if l.Next == "" {
			return all, nil
		}
		if l.Next <= q.Get(wire.QueryAfter) {
			return nil, fmt.Errorf("the service's list does not go on")
		}
		q.Set(wire.QueryAfter, l.Next)
	}
}

// find returns an object with a link to its content.
func (c *client) find(ctx context.Context, object string) (wire.Found, error) {
	var f wire.Found
	return f, c.call(ctx, http.MethodGet, object, nil, nil, nil, &f)
}

func (c *client) delete(ctx context.Context, object, etag string) error {
	return c.call(ctx, http.MethodDelete, object, nil, map[string]string{"If-Match": `"` + etag + `"`}, nil, nil)
}

// condition is that for a change of what has an ETag; empty: of nothing.
func condition(etag string) wire.Condition {
	return wire.Condition{Create: etag == "", IfMatch: etag}
}
