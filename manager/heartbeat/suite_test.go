package heartbeat_test

import (
	"path/filepath"
	"testing"

	"keyward/tests/testenv"
)

// A database makes an empty one and returns its DSN.
type database func(*testing.T) string

// suite is run on each database.
var suite = []struct {
	name string
	test func(*testing.T, database)
}{
	{"one that misbehaves is suspended", testMisbehavingIsSuspended},
	{"a budget of tokens is held", testATokenBudgetIsHeld},
	{"one that is stuck is told of", testStuckIsTold},
	{"files are no sign of work", testFilesAreBackground},
	{"one that is down is restarted", testDownIsRestartedWithBackoff},
	{"restarts keep their distance in the log", testBackoffIsByRecordedTimes},
	{"one that is idle sleeps and wakes", testIdleSleepsAndWakes},
	{"only those who sleep are woken", testOnlyTheSleepingAreWoken},
	{"the backend is away", testTheBackendIsAway},
	{"rules of the policy", testRulesOfThePolicy},
	{"names are harmless", testNamesAreHarmless},
	{"metrics", testMetrics},
	{"what is killed tells and does once", testKilled},
}

func run(t *testing.T, db database) {
	for _, tt := range suite {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, db) })
	}
}

func TestSQLite(t *testing.T) {
	run(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "keyward.db") })
}

func TestPostgreSQL(t *testing.T) { run(t, testenv.NeedPostgreSQL(t).Database) }
