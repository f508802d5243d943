// Package launchertest is the suite that every backend of Workers passes.
package launchertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyward/manager"
)

// A Backend is what the suite runs against.
type Backend struct {
	// New returns the launcher of one more Manager on the same engine.
	New func(t *testing.T, name string) manager.Launcher
	// Cut is New for one whose connection is gone after some requests that change
	// something, as if it were killed there.
	Cut func(t *testing.T, name string, after int) manager.Launcher
	// Changes is how many such requests a launch takes at most.
	Changes int
	// Step is by how many they are cut at a time; 0: 1, so everywhere.
	Step int
	// Waits is the spec of a Worker that does nothing.
	Waits manager.WorkerSpec
	// Talks is the spec of a Worker that writes a few lines and may end.
	Talks manager.WorkerSpec
	// Files returns what a Worker of a Manager sees of a file.
	Files func(t *testing.T, name, worker, file string) string
	// Left names what is left of a Manager's Workers; empty: nothing.
	Left func(t *testing.T, name string) string
}

func (b Backend) launch(worker, run string) manager.Launch {
	return manager.Launch{
		Worker: worker, Run: run, Spec: b.Waits,
		Env:   map[string]string{"KEYWARD_TOKEN": "kwt_" + run},
		Files: map[string][]byte{"token": []byte("kwt_" + run)},
	}
}

// Run runs the suite. It leaves nothing behind.
func Run(t *testing.T, b Backend) {
	t.Run("what is not there is not found", func(t *testing.T) { testMissing(t, b) })
	t.Run("a Worker runs, is kept for its run and replaced for another", func(t *testing.T) { testLaunch(t, b) })
	t.Run("a launch without a run or a Worker's id is refused", func(t *testing.T) { testRefused(t, b) })
	t.Run("an image that can't be had is known before anything is touched", func(t *testing.T) { testFetch(t, b) })
	t.Run("it stops, keeps its run, and starts", func(t *testing.T) { testStop(t, b) })
	t.Run("its files are replaced while it runs", func(t *testing.T) { testReplace(t, b) })
	t.Run("logs are bounded", func(t *testing.T) { testLogs(t, b) })
	t.Run("any id of a Worker has a place of its own", func(t *testing.T) { testNames(t, b) })
	t.Run("another Manager's Workers are not seen and not touched", func(t *testing.T) { testOwnership(t, b) })
	t.Run("what is removed leaves nothing", func(t *testing.T) { testRemove(t, b) })
	t.Run("a launch that was cut short is finished by the next", func(t *testing.T) { testCut(t, b) })
}

func testMissing(t *testing.T, b Backend) {
	d := b.New(t, "one")
	_, err := d.Instance(t.Context(), "nobody")
	_, logsErr := d.Logs(t.Context(), "nobody", 1)
	for what, err := range map[string]error{
		"instance": err, "logs": logsErr, "stop": d.Stop(t.Context(), "nobody"), "start": d.Start(t.Context(), "nobody"),
		"replace": d.Replace(t.Context(), b.launch("nobody", "r1")),
	} {
		if !errors.Is(err, manager.ErrNotFound) {
			t.Errorf("%s: %v, want %v", what, err, manager.ErrNotFound)
		}
	}
	if list, err := d.Instances(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("instances = %+v, %v", list, err)
	}
}

func testLaunch(t *testing.T, b Backend) {
	d := b.New(t, "one")
	first, err := d.Launch(t.Context(), b.launch("a", "r1"))
	if err != nil {
		t.Fatal(err)
	}
	first = b.running(t, d, "a")
	if first.Run != "r1" || first.Started.IsZero() {
		t.Fatalf("launched %+v", first)
	}
	if got := b.Files(t, "one", "a", "token"); got != "kwt_r1" {
		t.Errorf("its token is %q", got)
	}
	again, err := d.Launch(t.Context(), b.launch("a", "r1"))
	if err != nil || again != first {
		t.Errorf("the same run again: %+v, %v; want %+v", again, err, first)
	}
	if _, err := d.Launch(t.Context(), b.launch("a", "r2")); err != nil {
		t.Fatal(err)
	}
	if other := b.running(t, d, "a"); other.Run != "r2" || other.Started.Before(first.Started) {
		t.Errorf("another run: %+v", other)
	}
	if got := b.Files(t, "one", "a", "token"); got != "kwt_r2" {
		t.Errorf("its token is %q", got)
	}
}

// running waits until a Worker runs.
func (b Backend) running(t *testing.T, d manager.Launcher, worker string) manager.Instance {
	t.Helper()
	for {
		i, err := d.Instance(t.Context(), worker)
		if err != nil {
			t.Fatal(err)
		}
		switch i.Phase {
		case manager.PhaseRunning:
			return i
		case manager.PhaseStarting:
		default:
			t.Fatalf("it does not run: %+v", i)
		}
		if t.Context().Err() != nil {
			t.Fatalf("it does not run yet: %+v", i)
		}
	}
}

func testRefused(t *testing.T, b Backend) {
	d := b.New(t, "one")
	for what, l := range map[string]manager.Launch{"no run": b.launch("x", ""), "no id": b.launch("", "r1"), "a path": b.launch("../a", "r1")} {
		if _, err := d.Launch(t.Context(), l); !errors.Is(err, manager.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.Remove(t.Context(), ""); !errors.Is(err, manager.ErrInvalid) {
		t.Errorf("remove nobody: %v", err)
	}
}

func testFetch(t *testing.T, b Backend) {
	d := b.New(t, "one")
	if err := d.Fetch(t.Context(), b.Waits.Image); err != nil {
		t.Errorf("the image that runs: %v", err)
	}
	before := b.running(t, d, "a")
	err := d.Fetch(t.Context(), "sha256:"+strings.Repeat("0", 64))
	if !errors.Is(err, manager.ErrState) && !errors.Is(err, manager.ErrInvalid) {
		t.Errorf("one that is not there: %v", err)
	}
	if after := b.running(t, d, "a"); after != before {
		t.Errorf("it was %+v, is %+v", before, after)
	}
}

func testStop(t *testing.T, b Backend) {
	d := b.New(t, "one")
	for range 2 {
		if err := d.Stop(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	i, err := d.Instance(t.Context(), "a")
	if err != nil || i.Phase != manager.PhaseStopped || i.Run != "r2" {
		t.Errorf("stopped: %+v, %v", i, err)
	}
	if list, err := d.Instances(t.Context()); err != nil || len(list) != 1 || list[0].Run != "r2" {
		t.Errorf("instances = %+v, %v", list, err)
	}
	for range 2 {
		if err := d.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if i := b.running(t, d, "a"); i.Run != "r2" {
		t.Errorf("started: %+v", i)
	}
	if got := b.Files(t, "one", "a", "token"); got != "kwt_r2" {
		t.Errorf("its token is %q", got)
	}
}

func testReplace(t *testing.T, b Backend) {
	d := b.New(t, "one")
	before := b.running(t, d, "a")
	l := b.launch("a", "r3")
	l.Files["other"] = []byte("more")
	if err := d.Replace(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got, other := b.Files(t, "one", "a", "token"), b.Files(t, "one", "a", "other"); got != "kwt_r3" || other != "more" {
		t.Errorf("its files are %q and %q", got, other)
	}
	if after := b.running(t, d, "a"); after != before {
		t.Errorf("it was %+v, is %+v", before, after)
	}
}

func testLogs(t *testing.T, b Backend) {
	d := b.New(t, "one")
	l := b.launch("talker", "r1")
	l.Spec = b.Talks
	if _, err := d.Launch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	for lines, atMost := range map[int]int{1: 1, 0: 1, -5: 1, manager.MaxLogLines + 1: manager.MaxLogLines} {
		if b, err := d.Logs(t.Context(), "talker", lines); err != nil || strings.Count(string(b), "\n") > atMost {
			t.Errorf("%d lines: %q, %v", lines, b, err)
		}
	}
}

// testNames launches Workers whose ids differ only where a name of the engine's
// can't.
func testNames(t *testing.T, b Backend) {
	d := b.New(t, "names")
	ids := []string{"a-b", "a_b", "a.b", "a..b"}
	for _, id := range ids {
		if _, err := d.Launch(t.Context(), b.launch(id, "run-of-"+id)); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
	}
	for _, id := range ids {
		if i := b.running(t, d, id); i.Run != "run-of-"+id || i.Worker != id {
			t.Errorf("%q: %+v", id, i)
		}
		if err := d.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if left := b.Left(t, "names"); left != "" {
		t.Errorf("left: %s", left)
	}
}

func testOwnership(t *testing.T, b Backend) {
	d, other := b.New(t, "one"), b.New(t, "two")
	if _, err := other.Launch(t.Context(), b.launch("a", "r1")); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if i := b.running(t, other, "a"); i.Run != "r1" {
		t.Errorf("the other's is %+v", i)
	}
	list, err := d.Instances(t.Context())
	if err != nil || len(list) != 1 || list[0].Worker != "talker" {
		t.Errorf("instances = %+v, %v", list, err)
	}
	if err := other.Remove(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func testRemove(t *testing.T, b Backend) {
	d := b.New(t, "one")
	for range 2 {
		if err := d.Remove(t.Context(), "talker"); err != nil {
			t.Fatal(err)
		}
	}
	if left := b.Left(t, "one"); left != "" {
		t.Errorf("left: %s", left)
	}
	if list, err := d.Instances(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("instances = %+v, %v", list, err)
	}
}

func testCut(t *testing.T, b Backend) {
	whole := b.New(t, "cut")
	for n := 0; n <= b.Changes; n += max(b.Step, 1) {
		run := fmt.Sprint("r", n)
		_, cutErr := b.Cut(t, "cut", n).Launch(t.Context(), b.launch("c", run))
		if _, err := whole.Launch(t.Context(), b.launch("c", run)); err != nil {
			t.Errorf("cut after %d requests (%v): %v", n, cutErr, err)
			continue
		}
		if i := b.running(t, whole, "c"); i.Run != run {
			t.Errorf("cut after %d requests (%v): %+v", n, cutErr, i)
		}
		if n == b.Changes && cutErr != nil {
			t.Errorf("a launch takes more than %d requests: %v", n, cutErr)
		}
		removeErr := b.Cut(t, "cut", n%2).Remove(t.Context(), "c") // one that is cut short
		if err := whole.Remove(t.Context(), "c"); err != nil {
			t.Errorf("removal after one that ended with %v: %v", removeErr, err)
		}
		if left := b.Left(t, "cut"); left != "" {
			t.Errorf("cut after %d requests leaves %s", n, left)
		}
	}
}
