package files

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"keyward/manager"
	"keyward/manager/files/wire"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

// rights are prefixes of the bucket, and what may be done below them.
type rights []wire.Access

// rights are those of a consumer, by the grants in force.
func (s *Service) rights(ctx context.Context, consumer string) (rights, error) {
	c, err := s.store.Consumer(ctx, consumer)
	if err != nil {
		return nil, err
	}
	if c.State != snapshot.Active {
		return nil, &manager.Error{Kind: manager.KindConsumer, ID: consumer, Err: manager.ErrForbidden, Why: "it is " + string(c.State)}
	}
	var all []manager.Grant
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.store.Grants(ctx, store.GrantFilter{Consumer: consumer, Target: s.opt.Target}, p)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		if p.After = l.After; p.After == "" {
			return rightsOf(all, s.objects.Bucket(), s.opt.Now()), nil
		}
	}
}

// rightsOf reads grants as the default policy does: absent methods and paths are
// all of them, and a path is a prefix by whole segments. A path that can't be a
// prefix here opens nothing.
func rightsOf(grants []manager.Grant, bucket string, now time.Time) rights {
	var list rights
	for _, g := range grants {
		if !g.Expires.IsZero() && !now.Before(g.Expires) {
			continue
		}
		a := wire.Access{Read: named(g.Methods, http.MethodGet), Write: named(g.Methods, http.MethodPut)}
		if !a.Read && !a.Write {
			continue
		}
		paths := g.Paths
		if paths == nil || slices.Contains(paths, "*") {
			paths = []string{"/"}
		}
		for _, path := range paths {
			var ok bool
			if a.Prefix, ok = prefixOf(path, bucket); ok {
				list = append(list, a)
			}
		}
	}
	slices.SortFunc(list, func(a, b wire.Access) int { return cmp.Compare(a.Prefix, b.Prefix) })
	return list
}

func named(methods []string, method string) bool {
	return methods == nil || slices.Contains(methods, method) || slices.Contains(methods, "*")
}

// prefixOf is the part of a grant's path that is in the bucket.
func prefixOf(path, bucket string) (prefix string, ok bool) {
	if !strings.HasPrefix(path, "/") {
		return "", false
	}
	path = strings.Trim(path, "/")
	if path == "" || path == bucket {
		return "", true
	}
	prefix, ok = strings.CutPrefix(path, bucket+"/")
	return prefix, ok && wire.ValidPrefix(prefix)
}

// may finds a prefix that lets one read or write a name; the longest, so that
// what is signed reaches least.
func (r rights) may(name string, write bool) (prefix string, ok bool) {
	for _, a := range r {
		if wire.Within(name, a.Prefix) && name != a.Prefix && (write && a.Write || !write && a.Read) && (!ok || len(a.Prefix) > len(prefix)) {
			prefix, ok = a.Prefix, true
		}
	}
	return prefix, ok
}

// mayList reports whether all below a prefix may be read.
func (r rights) mayList(prefix string) bool {
	return slices.ContainsFunc(r, func(a wire.Access) bool { return a.Read && wire.Within(prefix, a.Prefix) })
}
