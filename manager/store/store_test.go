package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// start is when every test begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// alice makes all changes that a test doesn't care about.
var alice = store.Mutation{By: manager.Actor{ID: "at-alice", Name: "alice", Role: manager.Admin}, Request: "req-1"}

// A fixture is a new store with a clock of its own.
type fixture struct {
	*store.Store
	dsn string
	opt store.Options
	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// suite is run on each database.
var suite = []struct {
	name string
	test func(t *testing.T, f *fixture)
}{
	{"mutations count generations and are recorded", testMutations},
	{"a failed mutation leaves nothing", testFailedMutation},
	{"a change that is not recorded is refused", testNothingChanged},
	{"two writers lose no update", testLostUpdate},
	{"mutations at once get generations in a row", testConcurrentMutations},
	{"consumers", testConsumers},
	{"a deleted consumer takes its all along, and its id stays taken", testDeleteConsumer},
	{"tokens", testTokens},
	{"tokens of one consumer are bounded", testTokenBound},
	{"token rotation", testRotateToken},
	{"admin tokens", testAdminTokens},
	{"the first admin token is made once", testBootstrap},
	{"targets", testTargets},
	{"a deleted target takes grants and overrides along", testDeleteTarget},
	{"credentials", testCredentials},
	{"a retired credential widens nothing", testRetireCredential},
	{"gateway keys", testSealingKeys},
	{"grants", testGrants},
	{"who can do what", testAccess},
	{"policies", testPolicies},
	{"gateways", testGateways},
	{"Workers", testWorkers},
	{"a Worker's spec and grants are updated as one", testWorkerUpdate},
	{"a Worker's health", testWorkerHealth},
	{"a Worker sleeps and wakes", testWorkerSleep},
	{"the log is found by time", testLogSince},
	{"a launch that fails leaves no tokens", testWorkerLostTokens},
	{"a Worker goes with its consumer", testWorkerConsumers},
	{"a Worker's token is rotated", testWorkerRotation},
	{"a Worker's token is rotated in its files", testWorkerFileRotation},
	{"a deleted Worker's consumer goes first", testDeleteWorker},
	{"pages", testPages},
	{"audit events", testEvents},
	{"each record is logged once", testRecordsOnce},
	{"a gap is logged, and what comes late after all", testGaps},
	{"actions and records stand in one row", testOneLog},
	{"a bad batch is no other's fault", testABadBatchIsNoOthersFault},
	{"a batch of who is gone takes no turn away", testABatchOfWhoIsGone},
	{"a changed entry is told from what was written", testDamagedEntry},
	{"whatever is changed in the database is found", testTampering},
	{"one Manager leads at a time", testLead},
	{"a gateway that is gone leaves a gap", testEndedGateways},
	{"old records lose their text", testRetain},
	{"how far the log was passed on", testForwarded},
	{"rooms", testRooms},
	{"what waits for rooms", testOutbox},
	{"commands run once", testCommands},
	{"text of any kind is logged as it came", testHostileRecords},
	{"readers of the log are woken", testLogged},
	{"kept answers", testAnswers},
	{"deltas lead where snapshots are", testDeltas},
	{"many changes come in parts, one alone", testManyChanges},
	{"a new epoch asks for a whole snapshot", testNewEpoch},
	{"schema down and up again", testMigrations},
	{"reopening keeps everything", testReopen},
	{"no secret is in the store", testNoSecrets},
}

func TestStore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		runSuite(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "keyward.db") })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		runSuite(t, testenv.NeedPostgreSQL(t).Database)
	})
}

func runSuite(t *testing.T, dsn func(*testing.T) string) {
	for _, tt := range suite {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, newFixture(t, dsn(t))) })
	}
}

func newFixture(t *testing.T, dsn string) *fixture {
	t.Helper()
	f := &fixture{dsn: dsn, now: start}
	f.opt = store.Options{Now: f.clock}
	s, err := store.Open(t.Context(), f.dsn, f.opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f.Store = s
	return f
}

// must runs a mutation that has to work, and returns its generation.
func (f *fixture) must(t *testing.T, fn func(ctx context.Context, tx *store.Tx) error) uint64 {
	t.Helper()
	gen, err := f.try(t, fn)
	if err != nil {
		t.Fatal(err)
	}
	return gen
}

func (f *fixture) try(t *testing.T, fn func(ctx context.Context, tx *store.Tx) error) (uint64, error) {
	t.Helper()
	return f.Mutate(t.Context(), alice, func(tx *store.Tx) error { return fn(t.Context(), tx) })
}

// get runs a mutation that returns something.
func get[T any](t *testing.T, f *fixture, fn func(ctx context.Context, tx *store.Tx) (T, error)) T {
	t.Helper()
	var v T
	f.must(t, func(ctx context.Context, tx *store.Tx) (err error) {
		v, err = fn(ctx, tx)
		return err
	})
	return v
}

// fails runs a mutation that has to fail with want, and checks that nothing of
// it remains.
func (f *fixture) fails(t *testing.T, want error, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	before, err := f.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.try(t, fn); !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
	after, err := f.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("a failed mutation left %+v, before it was %+v", after, before)
	}
}

// A world is one of each noun: consumer alice-bot with a token and a grant for
// three tools of target github, which has a credential.
type world struct {
	consumer   manager.Consumer
	token      manager.Issued[manager.Token]
	credential manager.Credential
	target     manager.Target
	grant      manager.Grant
}

func consumerSpec(id string) manager.ConsumerSpec {
	return manager.ConsumerSpec{ID: id, Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{"team": "blue"}}}
}

func credentialSpec(id string) manager.CredentialSpec {
	return manager.CredentialSpec{ID: id, CredentialSealed: sealed("first")}
}

func sealed(text string) manager.CredentialSealed {
	return manager.CredentialSealed{
		Upstream: snapshot.Upstream{Hosts: []string{"api.github.com"}},
		Sealed:   []snapshot.Sealed{{Key: "gateway-1", Data: []byte(text)}},
	}
}

func targetSpec(id, credential string) manager.NewTarget {
	return manager.NewTarget{ID: id, TargetSpec: manager.TargetSpec{
		Kind:       policies.KindMCP,
		Match:      []snapshot.Match{{Path: "/mcp-servers/" + id}},
		Upstream:   snapshot.Upstream{Hosts: []string{"api.github.com"}},
		Credential: credential,
		Inject:     &snapshot.Inject{Form: snapshot.Bearer},
	}}
}

func newWorld(t *testing.T, f *fixture) world {
	t.Helper()
	var w world
	f.must(t, func(ctx context.Context, tx *store.Tx) (err error) {
		if w.consumer, err = tx.CreateConsumer(ctx, consumerSpec("alice-bot")); err != nil {
			return err
		}
		if w.token, err = tx.IssueToken(ctx, manager.TokenSpec{Consumer: "alice-bot"}); err != nil {
			return err
		}
		if w.credential, err = tx.CreateCredential(ctx, credentialSpec("github-main")); err != nil {
			return err
		}
		if w.target, err = tx.CreateTarget(ctx, targetSpec("github", "github-main")); err != nil {
			return err
		}
		w.grant, err = tx.CreateGrant(ctx, manager.NewGrant{
			Consumer: "alice-bot", Target: "github",
			GrantSpec: manager.GrantSpec{Tools: []string{"get_issue", "list_issues", "search"}},
		})
		return err
	})
	return w
}
