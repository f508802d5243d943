package testenv

import (
	"net/http"
	"testing"
)

func TestHomeservers(t *testing.T) {
	Heavy(t, "homeservers")
	for name, start := range map[string]func(testing.TB) *Homeserver{
		"synapse":  func(t testing.TB) *Homeserver { return StartSynapse(t, HomeserverOptions{}) },
		"dendrite": StartDendrite,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			u := h.Register(t, "alice", false)
			h.Kill()
			h.Start(t)
			var who struct {
				User string `json:"user_id"`
			}
			h.Call(t, http.MethodGet, "/_matrix/client/v3/account/whoami", u.Token, nil, &who)
			if who.User != "@alice:localhost" {
				t.Errorf("whoami = %q", who.User)
			}
		})
	}
}
