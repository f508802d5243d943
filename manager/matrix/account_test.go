package matrix

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"maunium.net/go/mautrix"
)

// A registrar registers who goes through its stages in their order, as the
// Client-Server API has it ("User-Interactive Authentication API").
type registrar struct {
	stages []string
	taken  bool // the name is
	done   []string
	calls  int
	user   string
}

const goodToken = "a-registration-token"

func (r *registrar) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.calls++
	var b struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     *struct{ Type, Token, Session string }
	}
	if req.Method != http.MethodPost || req.URL.Path != "/_matrix/client/v3/register" || json.NewDecoder(req.Body).Decode(&b) != nil || b.Password == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, v map[string]any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client sees what is missing
	}
	if r.taken {
		answer(http.StatusBadRequest, map[string]any{"errcode": "M_USER_IN_USE", "error": "taken"})
		return
	}
	challenge := map[string]any{"flows": []any{map[string]any{"stages": r.stages}}, "session": "s1", "params": map[string]any{}}
	if b.Auth != nil {
		next := r.stages[len(r.done)]
		switch {
		case b.Auth.Session != "s1" || b.Auth.Type != next || next == stageToken && b.Auth.Token != goodToken:
			challenge["errcode"], challenge["error"] = "M_UNAUTHORIZED", "no"
		default:
			r.done = append(r.done, next)
		}
	}
	if challenge["completed"] = r.done; len(r.done) < len(r.stages) {
		answer(http.StatusUnauthorized, challenge)
		return
	}
	r.user = "@" + b.Username + ":hs"
	answer(http.StatusOK, map[string]any{"user_id": r.user, "access_token": "t", "device_id": device})
}

// Tuwunel takes the token alone; Synapse wants the dummy stage after it.
func TestRegistrationByToken(t *testing.T) {
	dummy := string(mautrix.AuthTypeDummy)
	for _, tt := range []struct {
		name  string
		hs    registrar
		token string
		err   error // nil: an account is made
		fails bool
		most  int // requests
	}{
		{name: "as Tuwunel", hs: registrar{stages: []string{stageToken}}, token: goodToken, most: 2},
		{name: "as Synapse", hs: registrar{stages: []string{stageToken, dummy}}, token: goodToken, most: 3},
		{name: "another token", hs: registrar{stages: []string{stageToken}}, token: "other", fails: true, most: 3},
		{name: "terms that a person has to accept", hs: registrar{stages: []string{stageToken, "m.login.terms"}}, token: goodToken, fails: true, most: 3},
		{name: "the name is taken", hs: registrar{stages: []string{stageToken}, taken: true}, token: goodToken, err: mautrix.MUserInUse, fails: true, most: 1},
	} {
		srv := httptest.NewServer(&tt.hs)
		c, err := newClient(srv.URL, "", "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := registerWithToken(t.Context(), c, "keyward", "password", tt.token)
		srv.Close()
		switch {
		case tt.fails != (err != nil), tt.err != nil && !errors.Is(err, tt.err), tt.hs.calls > tt.most:
			t.Errorf("%s: %v after %d requests", tt.name, err, tt.hs.calls)
		case !tt.fails && (string(r.UserID) != "@keyward:hs" || r.AccessToken != "t" || !slices.Equal(tt.hs.done, tt.hs.stages)):
			t.Errorf("%s: registered %+v by %q", tt.name, r, tt.hs.done)
		}
	}
}
