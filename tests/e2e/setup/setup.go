// Package setup brings a Manager, by its API, to where tests of gateways begin.
package setup

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/changes"
	"keyward/plugins/live"
	"keyward/tests/testenv"
)

// Policy publishes the default policy, with more modules by their file names, and
// returns its ID.
func Policy(t testing.TB, api *client.Client, more map[string]string) (id string) {
	t.Helper()
	rego, err := os.ReadFile(filepath.Join(testenv.Root(t), "policy.rego"))
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{"policy.rego": string(rego)}
	maps.Copy(modules, more)
	p, _, err := api.CreatePolicy(t.Context(), client.Request{}, manager.PolicySpec{PolicySource: manager.PolicySource{Modules: modules}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := api.PublishPolicy(t.Context(), client.Request{}, p.ID); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// Gateway makes the gateway "edge", and returns its token and what its plugins need
// to follow the Manager, which they find as the cluster "manager".
func Gateway(t testing.TB, api *client.Client, maxStale time.Duration) (token string, m live.Config) {
	t.Helper()
	g, _, err := api.CreateGateway(t.Context(), client.Request{}, manager.GatewaySpec{ID: "edge"})
	if err != nil {
		t.Fatal(err)
	}
	status, err := api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := changes.PublicKey(status.GatewayKey)
	if err != nil {
		t.Fatal(err)
	}
	return g.Secret, live.Config{Cluster: "manager", Authority: "manager", Key: key, MaxStale: maxStale}
}
