package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyward/manager/api"
	"keyward/plugins/seal"
	"keyward/plugins/seal/unseal"
)

const clearKey = "canary-real-key-7f3a"

func enrolJSON(id string) string {
	return fmt.Sprintf(`{"id":%q,"upstream":{"hosts":["api.github.com"]},"secret":%q}`, id, clearKey)
}

// TestAKeyInClearIsSealedAndForgotten posts a key as only the CLI should not
// have to.
func TestAKeyInClearIsSealedAndForgotten(t *testing.T) {
	s := newServer(t)
	if a := s.must(t, 409, s.admin, "POST /v1/credentials", enrolJSON("none")); !strings.Contains(a.text, "none is known") {
		t.Errorf("without a gateway key: %s", a.text)
	}
	key, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"public": key.Public().String()})
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, 403, s.operator, "POST /v1/sealing-keys", string(body))
	added := s.must(t, 201, s.admin, "POST /v1/sealing-keys", string(body))
	if added.header.Get("Location") != "/v1/sealing-keys/"+key.ID() {
		t.Errorf("added at %q", added.header.Get("Location"))
	}
	first := s.must(t, 201, s.admin, "POST /v1/credentials", enrolJSON("github-main"), "Idempotency-Key", "k")
	again := s.must(t, 201, s.admin, "POST /v1/credentials", enrolJSON("github-main"), "Idempotency-Key", "k")
	if first.text != again.text {
		t.Error("the request can't be sent again")
	}
	s.must(t, 201, s.admin, "POST /v1/credentials/github-main/versions", fmt.Sprintf(`{"number":2,"upstream":{"hosts":["api.github.com"]},"secret":%q}`, clearKey))
	for name, body := range map[string]string{
		"both":       `{"id":"x","upstream":{"hosts":["h"]},"secret":"` + clearKey + `","sealed":[{"key":"k","data":"eA=="}]}`,
		"neither":    `{"id":"x","upstream":{"hosts":["h"]}}`,
		"a bad form": `{"id":"x","upstream":{"hosts":["h"]},"secret":"two\nlines of it"}`,
		"nowhere":    `{"id":"x","secret":"` + clearKey + `"}`,
	} {
		if a := s.must(t, 422, s.admin, "POST /v1/credentials", body); strings.Contains(a.text, clearKey) || strings.Contains(a.text, "lines of it") {
			t.Errorf("%s: the answer repeats the key: %s", name, a.text)
		}
	}
	snap, err := s.store.Snapshot(t.Context())
	if err != nil || len(snap.Credentials) != 1 {
		t.Fatalf("%d credentials, %v", len(snap.Credentials), err)
	}
	private, err := key.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := unseal.ParseKeys(private)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal.Open(keys, &snap.Credentials[0]); err != nil || string(got.Reveal()) != clearKey {
		t.Errorf("a gateway can't open it: %v", err)
	}
	if strings.Contains(s.log.String(), clearKey) {
		t.Error("the key is in the log")
	}
}

func TestAKeyInClearIsNotTakenOverAnOpenNetwork(t *testing.T) {
	s := newServer(t)
	a, err := api.New(s.store, api.Options{Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "http://manager/v1/credentials", strings.NewReader(enrolJSON("x")))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Authorization", "Bearer "+s.admin)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "without TLS") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}
