package matrix

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"maunium.net/go/mautrix/id"
)

// Who may command must be listed, and have the level in the room as it is now.
func TestMayCommand(t *testing.T) {
	var levels string
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if levels == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(levels)) // the client sees what is missing
	}))
	defer hs.Close()
	c, err := newClient(hs.URL, "@keyward:hs", "token")
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{opt: settings{Admins: []id.UserID{"@alice:hs", "@carol:hs"}}}
	s.client.Store(c)
	for _, tt := range []struct {
		name, levels string
		user         id.UserID
		want, fails  bool
	}{
		{"listed, and with the level", `{"users":{"@alice:hs":100,"@carol:hs":50}}`, "@alice:hs", true, false},
		{"listed, with less", `{"users":{"@alice:hs":100,"@carol:hs":50}}`, "@carol:hs", false, false},
		{"listed, with none", `{"users":{},"users_default":100}`, "@alice:hs", false, false},
		{"with the level, not listed", `{"users":{"@mallory:hs":100}}`, "@mallory:hs", false, false},
		{"a name that looks alike", `{"users":{"@alice:hs":100,"@Alice:hs":100}}`, "@Alice:hs", false, false},
		{"no level can be had", ``, "@alice:hs", false, true},
	} {
		levels = tt.levels
		got, err := s.mayCommand(t.Context(), "!home:hs", tt.user)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}
