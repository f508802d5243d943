package store

import (
	"context"

	"keyward/manager"
)

// Heard is the place in the homeserver's stream up to which commands were run;
// empty: none was heard yet.
func (r reader) Heard(ctx context.Context) (string, error) {
	var since string
	err := r.q.QueryRowContext(ctx, `SELECT since FROM matrix_state WHERE one = 1`).Scan(&since)
	return since, err
}

// keptCommands is how many commands are known again that were run and answered.
// A homeserver can give some more than it is asked for: Dendrite's messages before
// a place of the stream begin earlier.
const keptCommands = 1000

// SetHeard notes that all commands up to a place in the homeserver's stream were
// run and answered.
func (s *Store) SetHeard(ctx context.Context, since string) error {
	return s.observe(ctx, func(exec execFunc) error {
		if err := exec(`UPDATE matrix_state SET since = $1 WHERE one = 1`, since); err != nil {
			return err
		}
		if err := exec(`UPDATE matrix_commands SET answer = '' WHERE answer <> ''`); err != nil {
			return err
		}
		return exec(`DELETE FROM matrix_commands WHERE generation <
			(SELECT generation FROM matrix_commands ORDER BY generation DESC LIMIT 1 OFFSET $1)`, keptCommands)
	})
}

// CommandAnswer returns what a command is to be answered that was run already;
// empty: it was answered too.
func (r reader) CommandAnswer(ctx context.Context, event string) (answer string, known bool, err error) {
	err = r.q.QueryRowContext(ctx, `SELECT answer FROM matrix_commands WHERE event = $1`, event).Scan(&answer)
	if noRows(err) {
		return "", false, nil
	}
	return answer, err == nil, err
}

// RunCommand records that a command was given in a room, and what it is
// answered, in the transaction of what it does. That it was given before is
// [manager.ErrExists].
func (t *Tx) RunCommand(ctx context.Context, event, name, answer string) error {
	if _, known, err := t.CommandAnswer(ctx, event); err != nil || known {
		if known {
			err = &manager.Error{Kind: manager.KindRoom, ID: manager.ManagerRoom, Err: manager.ErrExists, Why: "the command was run before"}
		}
		return err
	}
	if _, err := t.exec(ctx, `INSERT INTO matrix_commands (event, answer, generation) VALUES ($1, $2, $3)`, event, answer, t.Generation()); err != nil {
		return err
	}
	return t.record(ctx, manager.KindRoom, "command-"+name, manager.ManagerRoom, nil, nil)
}
