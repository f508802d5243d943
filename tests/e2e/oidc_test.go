package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/tests/testenv"
)

// An openID is a real OpenID provider, and how people log in there.
type openID struct {
	*testing.T
	issuer   string
	redirect string // where it sends people back to; nothing listens there
	keys     jose.JSONWebKeySet
	process  *testenv.Process
}

// newKeys is a new signing key.
func newKeys(t *testing.T, id string) jose.JSONWebKeySet {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: id, Algorithm: "RS256", Use: "sig"}}}
}

// start runs the provider. Its ID tokens last so many seconds.
func (o *openID) start(seconds int) {
	o.Helper()
	node, modules := testenv.NeedNode(o, testenv.OpenIDPackage)
	keys, err := json.Marshal(o.keys)
	if err != nil {
		o.Fatal(err)
	}
	o.process = testenv.Start(o, testenv.Command{
		Path: node, Args: []string{filepath.Join(testenv.Root(o), "tests/e2e/testdata/openid_provider.mjs")},
		Env: []string{
			"MODULES=" + modules, "ISSUER=" + o.issuer, "REDIRECT=" + o.redirect,
			"JWKS=" + string(keys), fmt.Sprintf("TTL=%d", seconds),
		},
		Healthy: testenv.HTTPHealthy(o.issuer+"/.well-known/openid-configuration", http.StatusOK),
	})
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// logIn goes through the pages of an authorization code flow with PKCE (OpenID
// Connect Core 1.0, 3.1; RFC 7636) as a browser does, and returns the ID token.
func (o *openID) logIn(person, clientID string) string {
	o.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), o.redirect) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	res := o.do(browser.Get(o.issuer + "/auth?" + url.Values{
		"client_id": {clientID}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {o.redirect},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()))
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {person}, "password": {"any"}}, {"prompt": {"consent"}}} {
		action := formAction.FindStringSubmatch(res.body)
		if action == nil {
			o.Fatalf("no form: %d %s", res.status, res.body)
		}
		res = o.do(browser.PostForm(action[1], form))
	}
	back, err := url.Parse(res.location)
	if err != nil || back.Query().Get("code") == "" {
		o.Fatalf("sent back to %q, %v", res.location, err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {o.redirect}, "code_verifier": {verifier}}
	req, err := http.NewRequestWithContext(o.Context(), http.MethodPost, o.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(clientID, "a-secret-of-32-characters-0123456")
	var tokens struct {
		ID string `json:"id_token"`
	}
	res = o.do(browser.Do(req))
	if err := json.Unmarshal([]byte(res.body), &tokens); err != nil || tokens.ID == "" {
		o.Fatalf("%d %s, %v", res.status, res.body, err)
	}
	return tokens.ID
}

type page struct {
	status         int
	body, location string
}

func (o *openID) do(res *http.Response, err error) page {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		o.Fatal(err)
	}
	return page{res.StatusCode, string(b), res.Header.Get("Location")}
}

// TestLogInWithARealProvider: what people bring from their provider counts for what
// the table says, and nothing else that a provider may issue counts at all.
func TestLogInWithARealProvider(t *testing.T) {
	testenv.Heavy(t, "a real OpenID provider")
	keyward := testenv.GoBuild(t, "keyward/tools/keyward")
	keys := newKeys(t, "one")
	provider := &openID{T: t, issuer: "http://" + freeAddress(t), redirect: "http://" + freeAddress(t) + "/callback", keys: keys}
	provider.start(600)

	api, config := freeAddress(t), filepath.Join(t.TempDir(), "manager.yaml")
	text := fmt.Sprintf("store: {dsn: keyward.db}\napi: {listen: %q}\noperations: {listen: \"127.0.0.1:0\"}\ngateways: {listen: \"127.0.0.1:0\"}\n"+
		"oidc: {issuer: %q, audience: keyward, roles: {owners: admin, ops: operator, all: auditor}}\n", api, provider.issuer)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, admin, log := startManager(t, keyward, config, api)
	as := func(token string) *client.Client {
		t.Helper()
		c, err := client.New("http://"+api, token, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	create := func(token, id string) error {
		_, _, err := as(token).CreateConsumer(t.Context(), client.Request{}, manager.ConsumerSpec{ID: id, Kind: "worker"})
		return err
	}
	issue := func(token string) error {
		_, _, err := as(token).IssueAdminToken(t.Context(), client.Request{}, manager.AdminTokenSpec{Name: "more", Role: manager.Auditor})
		return err
	}
	status := func(err error) int {
		var problem *client.Error
		if errors.As(err, &problem) {
			return problem.Status
		}
		if err != nil {
			t.Fatal(err)
		}
		return http.StatusOK
	}
	check := func(what string, err error, want int) {
		t.Helper()
		if got := status(err); got != want {
			t.Errorf("%s: status %d, want %d", what, got, want)
		}
	}

	ann, bob := provider.logIn("ann", "keyward"), provider.logIn("bob", "keyward")
	check("an owner creates", create(ann, "w1"), http.StatusOK)
	check("an owner makes admins", issue(ann), http.StatusOK)
	check("who is on call creates", create(bob, "w2"), http.StatusOK)
	check("who is on call makes no admins", issue(bob), http.StatusForbidden)
	check("a guest", create(provider.logIn("eve", "keyward"), "w3"), http.StatusUnauthorized)
	check("a log-in to another program", create(provider.logIn("ann", "another-program"), "w3"), http.StatusUnauthorized)
	check("signed by a shared secret", create(provider.logIn("ann", "by-secret"), "w3"), http.StatusUnauthorized)
	parts := strings.Split(ann, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	check("signed by nobody", create(none+"."+parts[1]+".", "w3"), http.StatusUnauthorized)
	check("another's payload", create(parts[0]+"."+strings.Split(bob, ".")[1]+"."+parts[2], "w3"), http.StatusUnauthorized)

	// The same keys under another name are another issuer.
	twin := &openID{T: t, issuer: "http://" + freeAddress(t), redirect: provider.redirect, keys: keys}
	twin.start(600)
	check("another issuer", create(twin.logIn("ann", "keyward"), "w3"), http.StatusUnauthorized)

	// A short one counts until it ends.
	provider.process.Kill()
	provider.start(3)
	short := provider.logIn("ann", "keyward")
	if claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(short, ".")[1]); !strings.Contains(string(claims), `"exp"`) {
		t.Errorf("claims %s", claims)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := testenv.Await(ctx, func(context.Context) error {
		if _, err := as(short).Status(ctx); status(err) != http.StatusUnauthorized {
			return errors.New("a token that has ended still counts")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	check("one that has not ended", issue(ann), http.StatusOK)

	// With the provider's next key the old one ends, and all that it signed.
	provider.process.Kill()
	provider.keys = newKeys(t, "two")
	provider.start(600)
	check("by the new key", create(provider.logIn("ann", "keyward"), "w4"), http.StatusOK)
	check("by the key that was withdrawn", create(ann, "w5"), http.StatusUnauthorized)

	// Too many refusals lock nobody out who was right before.
	check("an admin token", create(admin, "w6"), http.StatusOK)
	events, err := as(admin).Events(t.Context(), client.EventFilter{Actor: "oidc:bob"}, manager.Page{})
	if err != nil || len(events.Items) != 1 || events.Items[0].Object != "w2" {
		t.Errorf("events by bob: %+v, %v", events.Items, err)
	}
	events, err = as(admin).Events(t.Context(), client.EventFilter{}, manager.Page{Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, e := range events.Items {
		if e.Action == "consumer.create" {
			by[e.Object] = e.Actor.ID
		}
	}
	for object, actor := range map[string]string{"w1": "oidc:ann", "w2": "oidc:bob", "w3": "", "w4": "oidc:ann", "w5": ""} {
		if by[object] != actor {
			t.Errorf("the log says that %s was created by %q, want %q", object, by[object], actor)
		}
	}
	for _, secret := range []string{ann, bob, short} {
		if strings.Contains(read(t, log), secret) || strings.Contains(read(t, log), strings.Split(secret, ".")[2]) {
			t.Error("the Manager's log holds an ID token")
		}
	}
}
