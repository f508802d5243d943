package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"keyward/manager"
	"keyward/plugins/changes"
	"keyward/plugins/live"
	"keyward/plugins/record"
)

// managerCluster is Envoy's name for the recorder.
const managerCluster = "manager"

// A recorder takes records as a Manager does, and never has anything to tell: the
// plugins go on with their snapshot.
type recorder struct {
	addr    string
	server  *http.Server
	batches atomic.Int64
}

func newRecorder() (*recorder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &recorder{addr: l.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+record.Path, func(w http.ResponseWriter, req *http.Request) {
		if _, err := io.Copy(io.Discard, req.Body); err == nil {
			r.batches.Add(1)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("GET "+changes.Path, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	r.server = &http.Server{Handler: mux}
	go r.server.Serve(l) //nolint:errcheck // ends with Close
	return r, nil
}

func (r *recorder) close() { r.server.Close() }

// follow adds a Manager to the kit, which a plugin knows beside its snapshot.
func (k *kit) follow() error {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	token, err := manager.NewSecret(manager.GatewayPrefix, rand.Reader)
	if err != nil {
		return err
	}
	c := live.Config{Cluster: managerCluster, Authority: managerCluster, Key: public, MaxStale: 24 * time.Hour}
	k.recorded = fmt.Sprintf(`{"manager":%s,%s`, c.Encode(), strings.TrimPrefix(k.config, "{"))
	k.env = append(k.env, live.EnvToken+"="+token)
	return nil
}
