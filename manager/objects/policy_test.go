package objects_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/files/wire"
	"keyward/manager/objects"
	"keyward/tests/testenv"
)

// A policy is deploy/minio/policy.json.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect           string
	Action, Resource []string
}

// without is the policy less one action.
func (p policy) without(t *testing.T, action string) []byte {
	t.Helper()
	less := policy{Version: p.Version}
	for _, s := range p.Statement {
		s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		less.Statement = append(less.Statement, s)
	}
	b, err := json.Marshal(less)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestThePolicyIsWhatIsNeeded: the user of all tests here may what the policy says.
// With one action less something fails, so that none is there for nothing.
func TestThePolicyIsWhatIsNeeded(t *testing.T) {
	testenv.Heavy(t, "MinIO")
	m := testenv.StartMinIO(t)
	b, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "minio", "policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p policy
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	late := &latecomer{world: &world{T: t, minio: m}}
	late.Store = open(t, m, "keyward", m.URL)
	late.slow = open(t, m, "keyward", late.before(m.URL))

	m.Allow(t, p.without(t, "s3:CreateBucket"))
	if err := late.Prepare(t.Context()); err == nil {
		t.Error("a bucket is made without s3:CreateBucket")
	}
	m.Allow(t, b)
	if err := late.work("all"); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range p.Statement {
		for _, action := range s.Action {
			if action == "s3:CreateBucket" {
				continue
			}
			m.Allow(t, p.without(t, action))
			if err := late.work(strings.TrimPrefix(action, "s3:")); err == nil {
				t.Errorf("all works without %s", action)
			}
			tried++
		}
	}
	if tried < 8 {
		t.Errorf("%d actions", tried)
	}
	m.Allow(t, b)
	if err := late.work("again"); err != nil {
		t.Errorf("with all actions again: %v", err)
	}
	if err := open(t, m, "another", m.URL).Prepare(t.Context()); err == nil {
		t.Error("it may make another bucket")
	}
}

func open(t *testing.T, m *testenv.ObjectStore, bucket, endpoint string) *objects.Store {
	t.Helper()
	s, err := objects.New(objects.Options{Endpoint: endpoint, Host: host, Bucket: bucket, AccessKey: m.AccessKey, SecretKey: m.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A latecomer writes an object when another has looked at it and is about to
// delete it.
type latecomer struct {
	*world
	slow  *objects.Store // whose deletions come through it
	write func()         // before the next deletion; nil: nothing
}

// before passes requests on to a store.
func (l *latecomer) before(endpoint string) string {
	to, err := url.Parse(endpoint)
	if err != nil {
		l.Fatal(err)
	}
	srv := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = p.In.Host // which is signed
		if _, deletes := p.In.URL.Query()["delete"]; deletes && l.write != nil {
			l.write()
			l.write = nil
		}
	}})
	l.Cleanup(srv.Close)
	return srv.URL
}

// work does all that the Manager does, below a prefix.
func (l *latecomer) work(prefix string) error {
	ctx, name, b := l.Context(), prefix+"/x", []byte("content")
	if err := l.Prepare(ctx); err != nil {
		return err
	}
	if status := l.put(prefix, name, b, create(b)); status != http.StatusOK {
		return fmt.Errorf("put: %d", status)
	}
	o, err := l.Stat(ctx, name)
	if err != nil {
		return err
	}
	if status, _ := l.get(prefix, name, o.ETag); status != http.StatusOK {
		return fmt.Errorf("get: %d", status)
	}
	if list, err := l.List(ctx, prefix, "", 10); err != nil || len(list.Objects) != 1 {
		return fmt.Errorf("list: %+v, %w", list, err)
	}
	if err := l.upload(ctx, prefix+"/y"); err != nil {
		return err
	}
	newer := []byte("newer")
	l.write = func() {
		l.put(prefix, name, newer, wire.Put{Size: int64(len(newer)), Condition: wire.Condition{IfMatch: o.ETag}})
	}
	if err := l.slow.Delete(ctx, name, o.ETag); !errors.Is(err, manager.ErrVersion) {
		return fmt.Errorf("deletion of what was overwritten meanwhile: %w", err)
	}
	if o, err = l.Stat(ctx, name); err != nil || o.ETag != sum(newer) {
		return fmt.Errorf("then it is %+v, %w", o, err)
	}
	return l.Delete(ctx, name, o.ETag)
}

func (l *latecomer) upload(ctx context.Context, name string) error {
	id, err := l.StartUpload(ctx, name)
	if err != nil {
		return err
	}
	if _, err := l.Parts(ctx, name, id); err != nil {
		return err
	}
	return l.Abort(ctx, name, id)
}
