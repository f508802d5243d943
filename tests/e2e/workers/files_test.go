package workers_test

import (
	"crypto/rand"
	"net/http/httptest"
	"testing"

	"keyward/manager"
	"keyward/manager/files"
	"keyward/manager/objects"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// fileTargets are the files service and the object store behind it.
var fileTargets = []manager.NewTarget{
	{ID: "files", TargetSpec: manager.TargetSpec{Kind: policies.KindHTTP, Credential: "files", Match: []snapshot.Match{{Route: "files", Path: "/files"}}}},
	{ID: "objects", TargetSpec: manager.TargetSpec{Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "objects", Path: "/keyward"}}}},
}

// startFiles runs an object store and the service that gives links to it, and
// returns where that is and its key.
func (w *world) startFiles(t *testing.T) (at, key string) {
	t.Helper()
	w.minio, key = testenv.StartMinIO(t), "kwf_"+rand.Text()
	w.keys = append(w.keys, w.minio.SecretKey)
	w.issued[w.minio.SecretKey] = objectStore
	var err error
	w.objects, err = objects.New(objects.Options{
		Endpoint: w.minio.URL, Host: "objects.keyward", Bucket: "keyward", AccessKey: w.minio.AccessKey, SecretKey: w.minio.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := files.New(w.Store, w.objects, files.Options{Key: key, Log: w.logger(), Metrics: w.registry})
	if err != nil {
		t.Fatal(err)
	}
	w.parts = append(w.parts, s)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), key
}
