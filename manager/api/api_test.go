package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/api"
	"keyward/manager/audit"
	"keyward/manager/audit/audittest"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/tests/testenv"
)

// A server is an API on a new store, with a token of each role.
type server struct {
	*httptest.Server
	store                    *store.Store
	admin, operator, auditor string
	log                      *testenv.Output
	mu                       sync.Mutex
	keeper                   *audit.Keeper
	now                      time.Time
	step                     time.Duration // that the clock moves on when it is read
}

func (s *server) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(s.step)
	return s.now
}

func (s *server) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{log: &testenv.Output{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	s.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	s.admin, s.operator, s.auditor = s.token(t, manager.Admin), s.token(t, manager.Operator), s.token(t, manager.Auditor)
	s.keeper = audittest.NewKeeper(t, s.store)
	a, err := api.New(s.store, api.Options{
		Compiler: rego.Compiler{}, Keeper: s.keeper, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Now: s.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s
}

func (s *server) token(t *testing.T, role manager.Role) string {
	t.Helper()
	var i manager.Issued[manager.AdminToken]
	_, err := s.store.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) (err error) {
		i, err = tx.IssueAdminToken(t.Context(), manager.AdminTokenSpec{Name: "the " + string(role), Role: role})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return i.Secret
}

// An answer is what the API said.
type answer struct {
	status int
	header http.Header
	text   string
}

// field returns a member of the answer's object, as text.
func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		t.Fatalf("answer %q: %v", a.text, err)
	}
	s, _ := m[name].(string)
	return s
}

// do sends a request with headers, given as name and value in turn.
func (s *server) do(t *testing.T, token, route, body string, headers ...string) answer {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, string(b)}
	if a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: status %d with Content-Type %q, want a problem", route, a.status, a.header.Get("Content-Type"))
	}
	return a
}

// must is do with the status that has to come.
func (s *server) must(t *testing.T, status int, token, route, body string, headers ...string) answer {
	t.Helper()
	a := s.do(t, token, route, body, headers...)
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s\n%s", route, body, a.status, status, a.text, s.log.String())
	}
	return a
}

const (
	consumerJSON   = `{"id":"worker-1","kind":"worker","labels":{"team":"blue"}}`
	credentialJSON = `{"id":"github-main","upstream":{"hosts":["api.github.com"]},"sealed":[{"key":"gw-key","data":"c2VhbGVk"}]}`
	targetJSON     = `{"id":"github","kind":"mcp","match":[{"path":"/mcp-servers/github"}],"upstream":{"hosts":["api.github.com"]},"credential":"github-main","inject":{"form":"bearer"}}`
	grantJSON      = `{"consumer":"worker-1","target":"github","tools":["get_issue"],"arguments":{"get_issue":{"repo":["a/b",null,9007199254740993]}}}`
	policyJSON     = `{"modules":{"policy.rego":"package keyward\n\nallow if count(input.grants) > 0\n"},"note":"first"}`
)

func (s *server) world(t *testing.T) {
	t.Helper()
	s.must(t, 201, s.operator, "POST /v1/consumers", consumerJSON)
	s.must(t, 201, s.admin, "POST /v1/credentials", credentialJSON)
	s.must(t, 201, s.admin, "POST /v1/targets", targetJSON)
	s.must(t, 201, s.operator, "POST /v1/grants", grantJSON)
}

func TestTheStoryOfAWorker(t *testing.T) {
	s := newServer(t)
	s.world(t)
	c := s.must(t, 200, s.auditor, "GET /v1/consumers/worker-1", "")
	if c.header.Get("ETag") != `"1"` {
		t.Errorf("ETag = %s, want \"1\"", c.header.Get("ETag"))
	}
	issued := s.must(t, 201, s.operator, "POST /v1/tokens", `{"consumer":"worker-1","note":"laptop"}`)
	secret, id := issued.field(t, "secret"), issued.field(t, "id")
	if !strings.HasPrefix(secret, "kwt_") || issued.header.Get("Location") != "/v1/tokens/"+id {
		t.Errorf("issued %v with Location %q", issued.header, issued.header.Get("Location"))
	}
	if got := s.must(t, 200, s.admin, "GET /v1/tokens/"+id, ""); strings.Contains(got.text, "kwt_") || got.field(t, "secret") != "" {
		t.Error("the token is shown twice")
	}
	rotated := s.must(t, 201, s.operator, "POST /v1/tokens/"+id+"/rotate", `{"overlap_seconds":3600}`)
	if l := s.must(t, 200, s.auditor, "GET /v1/tokens?consumer=worker-1&replaced=true", ""); !strings.Contains(l.text, id) || strings.Contains(l.text, rotated.field(t, "id")+`","version`) {
		t.Errorf("tokens in their overlap: %s", l.text)
	}
	suspended := s.must(t, 200, s.operator, "POST /v1/consumers/worker-1/suspend", "")
	if suspended.field(t, "state") != "suspended" || suspended.header.Get("Keyward-Generation") == "" {
		t.Errorf("suspended: %v %s", suspended.header, suspended.text)
	}
	again := s.must(t, 200, s.operator, "POST /v1/consumers/worker-1/suspend", "")
	if a, b := suspended.header.Get("Keyward-Generation"), again.header.Get("Keyward-Generation"); a != b {
		t.Errorf("suspending twice made generations %s and %s", a, b)
	}
	if l := s.must(t, 200, s.auditor, "GET /v1/access?target=github&tool=get_issue", ""); !strings.Contains(l.text, "consumer_suspended") {
		t.Errorf("access: %s", l.text)
	}
	s.must(t, 204, s.admin, "DELETE /v1/consumers/worker-1", "")
	s.must(t, 404, s.auditor, "GET /v1/consumers/worker-1", "")
	s.must(t, 409, s.operator, "POST /v1/consumers", consumerJSON)
	events := s.must(t, 200, s.auditor, "GET /v1/events?kind=consumer&object=worker-1", "")
	for _, want := range []string{"consumer.create", "consumer.suspend", "consumer.delete", `"name":"the operator"`} {
		if !strings.Contains(events.text, want) {
			t.Errorf("events lack %s: %s", want, events.text)
		}
	}
	if log := s.log.String(); strings.Contains(log, "kwt_") || strings.Contains(log, "kwa_") || !strings.Contains(log, `"operation":"POST /v1/tokens"`) {
		t.Errorf("the log holds a token, or no request")
	}
}

func TestUpdatesNeedTheVersionTheyAreBasedOn(t *testing.T) {
	s := newServer(t)
	s.world(t)
	const put, body = "PUT /v1/consumers/worker-1", `{"labels":{"team":"red"}}`
	s.must(t, 428, s.operator, put, body)
	s.must(t, 412, s.operator, put, body, "If-Match", `"7"`)
	s.must(t, 412, s.operator, put, body, "If-Match", `W/"1"`)
	s.must(t, 412, s.operator, put, body, "If-Match", `1`)
	if got := s.must(t, 200, s.operator, put, body, "If-Match", `"1"`); got.header.Get("ETag") != `"2"` {
		t.Errorf("ETag after an update = %s", got.header.Get("ETag"))
	}
	s.must(t, 412, s.operator, put, body, "If-Match", `"1"`)
	s.must(t, 200, s.operator, put, body, "If-Match", `*`)
	s.must(t, 412, s.admin, "DELETE /v1/consumers/worker-1", "", "If-Match", `"1"`)
	s.must(t, 200, s.admin, "PUT /v1/consumers/worker-1/credentials/github", `{"credential":"github-main"}`, "If-Match", "*")
	s.must(t, 200, s.admin, "DELETE /v1/consumers/worker-1/credentials/github", "", "If-Match", "*")
}

func TestARequestCanBeSentAgain(t *testing.T) {
	s := newServer(t)
	s.world(t)
	const issue, body = "POST /v1/tokens", `{"consumer":"worker-1"}`
	first := s.must(t, 201, s.operator, issue, body, "Idempotency-Key", "k1")
	again := s.must(t, 201, s.operator, issue, body, "Idempotency-Key", "k1")
	if first.text != again.text || first.header.Get("Keyward-Generation") != again.header.Get("Keyward-Generation") ||
		first.header.Get("Location") != again.header.Get("Location") || first.header.Get("ETag") != again.header.Get("ETag") {
		t.Errorf("answers differ:\n%v %s\n%v %s", first.header, first.text, again.header, again.text)
	}
	s.must(t, 422, s.operator, issue, `{"consumer":"worker-1","note":"x"}`, "Idempotency-Key", "k1")
	s.must(t, 422, s.operator, "POST /v1/consumers", `{"id":"w2","kind":"worker"}`, "Idempotency-Key", "k1")
	other := s.must(t, 201, s.admin, issue, body, "Idempotency-Key", "k1") // another caller's key is another key
	if other.field(t, "secret") == first.field(t, "secret") {
		t.Error("one caller got the answer to another")
	}
	s.must(t, 404, s.operator, "POST /v1/tokens/tk-none/revoke", "", "Idempotency-Key", "k2")
	s.must(t, 201, s.operator, issue, body, "Idempotency-Key", "k2") // what failed left nothing
	s.advance(25 * time.Hour)
	later := s.must(t, 201, s.operator, issue, body, "Idempotency-Key", "k1")
	if later.field(t, "id") == first.field(t, "id") {
		t.Error("an answer was kept for longer than a day")
	}
}

func TestRoles(t *testing.T) {
	s := newServer(t)
	s.world(t)
	for _, tt := range []struct {
		route, body                      string
		auditor, operator, admin, nobody int
	}{
		{"GET /v1/status", "", 200, 200, 200, 401},
		{"GET /v1/events", "", 200, 200, 200, 401},
		{"GET /v1/log", "", 200, 200, 200, 401},
		{"GET /v1/log/export", "", 200, 200, 200, 401},
		{"POST /v1/log/drop", `{"before":1000000}`, 403, 403, 422, 401},
		{"GET /v1/admin-tokens", "", 200, 200, 200, 401},
		{"POST /v1/consumers/worker-1/suspend", "", 403, 200, 200, 401},
		{"POST /v1/consumers/worker-1/resume", "", 403, 200, 200, 401},
		{"POST /v1/policy/check", policyJSON[:len(policyJSON)-len(`,"note":"first"}`)] + "}", 403, 200, 200, 401},
		{"DELETE /v1/consumers/none", "", 403, 403, 404, 401},
		{"POST /v1/targets", targetJSON, 403, 403, 409, 401},
		{"POST /v1/credentials", credentialJSON, 403, 403, 409, 401},
		{"POST /v1/credentials/none/retire", "", 403, 403, 404, 401},
		{"POST /v1/policies/none/publish", "", 403, 403, 404, 401},
		{"POST /v1/gateways", `{"id":""}`, 403, 403, 422, 401},
		{"POST /v1/sealing-keys", `{"public":""}`, 403, 403, 422, 401},
		{"POST /v1/admin-tokens", `{"name":"x","role":"root"}`, 403, 403, 422, 401},
		{"POST /v1/workers", "{\"id\":\"x\",\"image\":\"sha256:" + strings.Repeat("a", 64) + "\"}", 403, 403, 409, 401}, // it runs none
		{"POST /v1/workers/none/suspend", "", 403, 404, 404, 401},
		{"DELETE /v1/workers/none", "", 403, 403, 404, 401},
		{"GET /v1/workers/none/logs", "", 409, 409, 409, 401},
		{"PUT /v1/consumers/worker-1/credentials/github", `{"credential":"none"}`, 403, 403, 428, 401},
	} {
		s.advance(time.Minute) // what has no token is counted
		for token, want := range map[string]int{s.auditor: tt.auditor, s.operator: tt.operator, s.admin: tt.admin, "": tt.nobody} {
			if got := s.do(t, token, tt.route, tt.body); got.status != want {
				t.Errorf("%s: status %d, want %d: %s", tt.route, got.status, want, got.text)
			}
		}
	}
}

func TestWhoIsLetIn(t *testing.T) {
	s := newServer(t)
	for name, header := range map[string]string{
		"a consumer token": "Bearer kwt_" + s.admin[4:],
		"a mistyped token": "Bearer " + s.admin[:len(s.admin)-1] + "!",
		"another scheme":   "Basic " + s.admin,
		"no scheme":        s.admin,
		"two tokens":       "Bearer " + s.admin + " " + s.admin,
	} {
		a := s.do(t, "", "GET /v1/status", "", "Authorization", header)
		if a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: status %d, %v", name, a.status, a.header)
		}
	}
	s.must(t, 200, s.admin, "GET /v1/status", "")
}

func TestAFloodOfWrongTokensIsTurnedAway(t *testing.T) {
	s := newServer(t)
	s.must(t, 200, s.auditor, "GET /v1/status", "")
	wrong, err := manager.NewSecret(manager.AdminPrefix, bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for range 25 {
		last = s.do(t, wrong, "GET /v1/status", "").status
	}
	if last != 429 {
		t.Fatalf("the 25th wrong token got status %d, want 429", last)
	}
	if a := s.do(t, s.admin, "GET /v1/status", ""); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("a token that was not seen before got %d", a.status)
	}
	s.must(t, 200, s.auditor, "GET /v1/status", "") // known: not locked out
	s.advance(10 * time.Second)
	s.must(t, 200, s.admin, "GET /v1/status", "")
}

func TestStrictInput(t *testing.T) {
	s := newServer(t)
	s.world(t)
	const route = "POST /v1/consumers"
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"no body":               {"", 400},
		"not JSON":              {"{", 400},
		"two values":            {consumerJSON + "{}", 400},
		"a name twice":          {`{"id":"a","id":"b","kind":"worker"}`, 400},
		"null":                  {`{"id":"a","kind":"worker","labels":null}`, 400},
		"bad UTF-8":             {"{\"id\":\"a\",\"kind\":\"worker\",\"labels\":{\"x\":\"\xff\"}}", 400},
		"nested 10,000 deep":    {strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), 400},
		"an unknown name":       {`{"id":"a","kind":"worker","admin":true}`, 422},
		"a name in other case":  {`{"id":"a","kind":"worker","Labels":{}}`, 422},
		"a required name lacks": {`{"id":"a"}`, 422},
		"an id that is no id":   {`{"id":"A b","kind":"worker"}`, 422},
		"a control character":   {`{"id":"a","kind":"worker","labels":{"x":"\u0000"}}`, 422},
		"too large":             {`{"id":"` + strings.Repeat("a", 2<<20) + `"}`, 413},
	} {
		if a := s.do(t, s.admin, route, tt.body); a.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, tt.status, a.text)
		}
	}
	s.must(t, 415, s.admin, route, consumerJSON, "Content-Type", "text/plain")
	s.must(t, 415, s.admin, route, consumerJSON, "Content-Encoding", "gzip")
	s.must(t, 422, s.admin, "GET /v1/consumers?stat=active", "")
	s.must(t, 422, s.admin, "GET /v1/consumers?limit=100000", "")
	s.must(t, 422, s.admin, "GET /v1/grants?consumer=", "")
	s.must(t, 422, s.admin, "GET /v1/grants?consumer=a&consumer=b", "")
	s.must(t, 422, s.admin, "GET /v1/grants?consumer=%zz", "")
	s.must(t, 422, s.admin, "GET /v1/consumers/%00", "")
	s.must(t, 422, s.admin, "GET /v1/grants?consumer=%ff", "")
	s.must(t, 422, s.admin, "PUT /v1/grants/none", `{"methods":[]}`, "If-Match", "*")
	s.must(t, 404, s.admin, "GET /nothing", "")
	if a := s.must(t, 405, s.admin, "PATCH /v1/consumers/worker-1", ""); !strings.Contains(a.header.Get("Allow"), "PUT") {
		t.Errorf("Allow = %q", a.header.Get("Allow"))
	}
	if a := s.do(t, s.admin, "POST /v1/credentials", `{"id":"x","sealed":"sk-canary-1234"}`); a.status != 422 || strings.Contains(a.text, "canary") {
		t.Errorf("a key in the wrong place: status %d: %s", a.status, a.text)
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Error("the log holds what was sent")
	}
}

func TestPolicies(t *testing.T) {
	s := newServer(t)
	first := s.must(t, 201, s.operator, "POST /v1/policies", policyJSON).field(t, "id")
	bad := s.must(t, 422, s.operator, "POST /v1/policies", `{"modules":{"policy.rego":"package keyward\n\nallow if {"}}`)
	if !strings.Contains(bad.text, "policy.rego:3:") {
		t.Errorf("a policy that doesn't compile: %s", bad.text)
	}
	s.must(t, 200, s.admin, "POST /v1/policies/"+first+"/publish", "")
	second := s.must(t, 201, s.operator, "POST /v1/policies", strings.Replace(policyJSON, "> 0", "> 1", 1)).field(t, "id")
	d := s.must(t, 200, s.auditor, "GET /v1/policies/"+second+"/diff", "").field(t, "diff")
	if !strings.Contains(d, "-allow if count(input.grants) > 0") || !strings.Contains(d, "+allow if count(input.grants) > 1") {
		t.Errorf("diff = %s", d)
	}
	s.must(t, 412, s.admin, "POST /v1/policies/"+second+"/publish?instead="+second, "")
	s.must(t, 200, s.admin, "POST /v1/policies/"+second+"/publish?instead="+first, "")
	if live := s.must(t, 200, s.auditor, "GET /v1/status", "").field(t, "policy"); live != second {
		t.Errorf("live policy = %s, want %s", live, second)
	}
	s.must(t, 200, s.admin, "POST /v1/policy/rollback", "")
	if live := s.must(t, 200, s.auditor, "GET /v1/status", "").field(t, "policy"); live != first {
		t.Errorf("after going back the live policy = %s, want %s", live, first)
	}
	s.must(t, 409, s.admin, "POST /v1/policy/rollback", "")
	failing := `{"modules":{"p.rego":"package keyward\n\nallow := true\n","p_test.rego":"package keyward_test\n\nimport data.keyward\n\ntest_no if not keyward.allow\n"}}`
	if a := s.must(t, 200, s.operator, "POST /v1/policy/test", failing); !strings.Contains(a.text, `"passed":false`) {
		t.Errorf("tests: %s", a.text)
	}
	third := s.must(t, 201, s.operator, "POST /v1/policies", failing).field(t, "id")
	if a := s.must(t, 409, s.admin, "POST /v1/policies/"+third+"/publish", ""); !strings.Contains(a.text, "test_no") {
		t.Errorf("publishing with failing tests: %s", a.text)
	}
}

func TestADatabaseThatIsGone(t *testing.T) {
	s := newServer(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.must(t, 500, s.admin, "GET /v1/status", "")
	if strings.Contains(a.text, "sql") || !strings.Contains(a.text, a.header.Get("Keyward-Request")) {
		t.Errorf("the caller hears: %s", a.text)
	}
}

func TestDocuments(t *testing.T) {
	s := newServer(t)
	spec := s.must(t, 200, "", "GET /openapi.json", "")
	if !json.Valid([]byte(spec.text)) || spec.field(t, "openapi") != "3.1.0" {
		t.Error("openapi.json is no OpenAPI 3.1 document")
	}
	page := s.must(t, 200, "", "GET /docs", "")
	for _, want := range []string{"/v1/consumers/{id}/suspend", "Needs role admin"} {
		if !strings.Contains(page.text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page.text, "<script") || strings.Contains(page.text, "ZgotmplZ") {
		t.Error("the page has a script, or what the template refused")
	}
}
