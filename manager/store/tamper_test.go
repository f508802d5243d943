package store_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/audit/audittest"
)

// Whoever may write to the database changes the log in it. What the Manager exports
// of it then tells where, or the Manager says that it can't export it. The last ones
// took the checkpoints away too, so that the Manager signs what there is: the room
// remembers.
func testTampering(t *testing.T, f *fixture) {
	keeper := audittest.NewKeeper(t, f.Store)
	var room []string
	for n := range uint64(6) {
		f.append(t, "a", records(100*n+1, 100*n+100))
		c, err := keeper.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		room = append(room, c.Note)
	}
	tables := []string{"log", "log_head", "log_checkpoints", "log_nodes"}
	for _, x := range tables {
		f.exec(t, fmt.Sprintf(`CREATE TABLE saved_%s AS SELECT * FROM %[1]s`, x))
	}
	forge := func() {
		e, err := f.Log(t.Context(), 150, 1)
		if err != nil {
			t.Fatal(err)
		}
		body := strings.Replace(string(e[0].Body), `"deny"`, `"allow"`, 1)
		hash := manager.LeafHash([]byte(body))
		f.exec(t, `UPDATE log SET body = $1, hash = $2 WHERE position = 150`, body, base64.StdEncoding.EncodeToString(hash[:]))
	}
	const forget = `DELETE FROM log_checkpoints WHERE size > %d; DELETE FROM log_nodes WHERE (number + 1) * 256 > %[1]d`
	for name, tt := range map[string]struct {
		change func()
		want   string // a finding, or why nothing is exported
	}{
		"nothing": {func() {}, ""},
		"a text": {func() {
			f.exec(t, `UPDATE log SET body = replace(body, 'worker-a', 'worker-b') WHERE position = 150`)
		}, "position 150: the entry is not what was written"},
		"a text with its hash": {forge, "positions 101 to 200: not what was signed"},
		"one is gone":          {func() { f.exec(t, `DELETE FROM log WHERE position = 150`) }, "position 150: missing"},
		"the first is gone":    {func() { f.exec(t, `DELETE FROM log WHERE position = 0`) }, "no entry at position 0"},
		"two change places": {func() {
			f.exec(t, `UPDATE log SET body = (SELECT s.body FROM saved_log s WHERE s.position = 310 - log.position),
				hash = (SELECT s.hash FROM saved_log s WHERE s.position = 310 - log.position) WHERE position IN (150, 160)`)
		}, "positions 101 to 200: not what was signed"},
		"the end is cut off": {func() {
			f.exec(t, `DELETE FROM log WHERE position >= 450; UPDATE log_head SET size = 450`)
		}, "not a continuation"},
		"and the checkpoints with it": {func() {
			f.exec(t, `DELETE FROM log WHERE position >= 450; UPDATE log_head SET size = 450; `+fmt.Sprintf(forget, 450))
		}, "positions 450 to 600: missing: a checkpoint from elsewhere covers more than the export"},
		"all is made anew": {func() { forge(); f.exec(t, fmt.Sprintf(forget, 0)) }, "positions 101 to 200: not what was signed in a checkpoint from elsewhere"},
	} {
		tt.change()
		var export bytes.Buffer
		var got []string
		if err := keeper.Export(t.Context(), &export); err != nil {
			got = append(got, err.Error())
		} else {
			r, err := audit.Verify(&export, audit.Trust{Key: keeper.PublicKey(), Checkpoints: room}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Findings {
				got = append(got, x.String())
			}
		}
		if all := strings.Join(got, "\n"); !strings.Contains(all, tt.want) || tt.want == "" && all != "" {
			t.Errorf("%s: found %q, want %q", name, got, tt.want)
		}
		for _, x := range tables {
			f.exec(t, fmt.Sprintf(`DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM saved_%[1]s`, x))
		}
	}
}
