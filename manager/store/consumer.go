package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

var consumers = table[manager.Consumer]{
	name:    "consumers",
	kind:    manager.KindConsumer,
	columns: []string{"kind", "labels", "state"},
	meta:    func(c *manager.Consumer) *manager.Meta { return &c.Meta },
	fields: func(c *manager.Consumer) []any {
		return []any{&c.Kind, jsonText{&c.Labels}, &c.State}
	},
}

// Consumer returns a consumer.
func (r reader) Consumer(ctx context.Context, id string) (manager.Consumer, error) {
	c, err := consumers.get(ctx, r.q, id)
	if err != nil {
		return c, err
	}
	all := []manager.Consumer{c}
	err = r.overrides(ctx, all)
	return all[0], err
}

// Consumers returns a page of consumers, of all states or of one.
func (r reader) Consumers(ctx context.Context, state snapshot.State, p manager.Page) (manager.List[manager.Consumer], error) {
	l, err := consumers.page(ctx, r.q, p, "x.state = $1 OR $1 = ''", string(state))
	if err != nil {
		return l, err
	}
	return l, r.overrides(ctx, l.Items)
}

// overrides fills in the own credentials of consumers that are in the order of
// their ids.
func (r reader) overrides(ctx context.Context, list []manager.Consumer) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[string]*manager.Consumer, len(list))
	for i := range list {
		list[i].Credentials = map[string]string{}
		at[list[i].ID] = &list[i]
	}
	rows, err := r.q.QueryContext(ctx, `SELECT consumer, target, credential FROM overrides
		WHERE consumer >= $1 AND consumer <= $2`, list[0].ID, list[len(list)-1].ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var consumer, target, credential string
		if err := rows.Scan(&consumer, &target, &credential); err != nil {
			return err
		}
		if c := at[consumer]; c != nil {
			c.Credentials[target] = credential
		}
	}
	return rows.Err()
}

// CreateConsumer makes a consumer, active and without token.
func (t *Tx) CreateConsumer(ctx context.Context, spec manager.ConsumerSpec) (manager.Consumer, error) {
	c := manager.Consumer{
		Meta:        manager.Meta{ID: spec.ID},
		Kind:        spec.Kind,
		Labels:      orEmpty(spec.Labels),
		State:       snapshot.Active,
		Credentials: map[string]string{},
	}
	if err := spec.Validate(); err != nil {
		return c, err
	}
	if err := t.unused(ctx, manager.KindConsumer, c.ID); err != nil {
		return c, err
	}
	if err := consumers.insert(ctx, t, &c); err != nil {
		return c, err
	}
	if err := t.touch(ctx, entryConsumer, c.ID, false); err != nil {
		return c, err
	}
	return c, t.record(ctx, manager.KindConsumer, "create", c.ID, nil, c)
}

// UpdateConsumer changes a consumer of a version (0: whichever).
func (t *Tx) UpdateConsumer(ctx context.Context, id string, version uint64, u manager.ConsumerUpdate) (manager.Consumer, error) {
	if err := u.Validate(); err != nil {
		return manager.Consumer{}, err
	}
	return t.editConsumer(ctx, id, version, "update", func(c *manager.Consumer) error {
		c.Labels = orEmpty(u.Labels)
		return nil
	})
}

var verbs = map[snapshot.State]string{
	snapshot.Active:    "resume",
	snapshot.Suspended: "suspend",
	snapshot.Revoked:   "revoke",
}

// SetConsumerState suspends, resumes or revokes. Revoked is final. Setting the
// state that a consumer has changes nothing. A Worker goes with its consumer: its
// container runs while that is active, and no longer.
func (t *Tx) SetConsumerState(ctx context.Context, id string, version uint64, state snapshot.State) (manager.Consumer, error) {
	w, err := t.workerOf(ctx, id)
	if isNotFound(err) {
		return t.setConsumerState(ctx, id, version, state)
	}
	if err != nil {
		return manager.Consumer{}, err
	}
	c, err := consumers.checked(ctx, t, id, version)
	if err != nil {
		return c, err
	}
	if c.State != state || w.Suspended != (state != snapshot.Active) || w.Asleep {
		if _, err := t.setSuspended(ctx, w.ID, 0, state, verbs[state]); err != nil {
			return c, err
		}
	}
	return t.Consumer(ctx, id)
}

// setConsumerState is SetConsumerState for the consumer alone.
func (t *Tx) setConsumerState(ctx context.Context, id string, version uint64, state snapshot.State) (manager.Consumer, error) {
	c, err := t.Consumer(ctx, id)
	if err != nil {
		return c, err
	}
	if version == 0 && c.State == state {
		return c, nil
	}
	return t.editConsumer(ctx, id, version, verbs[state], func(c *manager.Consumer) error {
		if c.State == snapshot.Revoked && state != snapshot.Revoked {
			return &manager.Error{Kind: manager.KindConsumer, ID: id, Err: manager.ErrState, Why: "it is revoked, which is final"}
		}
		c.State = state
		return nil
	})
}

// SetOverride gives a consumer a credential of its own for a target; an empty
// one takes it away.
func (t *Tx) SetOverride(ctx context.Context, consumer string, version uint64, target, credential string) (manager.Consumer, error) {
	tg, err := t.Target(ctx, target)
	if err != nil {
		return manager.Consumer{}, asReference(err, "target")
	}
	if credential != "" {
		if tg.Inject == nil {
			return manager.Consumer{}, &manager.FieldError{Field: "target", Why: "does not say where a credential goes"}
		}
		if err := t.usable(ctx, credential); err != nil {
			return manager.Consumer{}, err
		}
	}
	return t.editConsumer(ctx, consumer, version, "set-credential", func(*manager.Consumer) error {
		if credential == "" {
			_, err := t.exec(ctx, `DELETE FROM overrides WHERE consumer = $1 AND target = $2`, consumer, target)
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO overrides (consumer, target, credential) VALUES ($1, $2, $3)
			ON CONFLICT (consumer, target) DO UPDATE SET credential = excluded.credential`, consumer, target, credential)
		return err
	})
}

func (t *Tx) editConsumer(ctx context.Context, id string, version uint64, verb string, change func(*manager.Consumer) error) (manager.Consumer, error) {
	before, err := t.Consumer(ctx, id)
	if err != nil {
		return before, err
	}
	if _, _, err := consumers.edit(ctx, t, id, version, change); err != nil {
		return before, err
	}
	if err := t.touch(ctx, entryConsumer, id, false); err != nil {
		return before, err
	}
	after, err := t.Consumer(ctx, id)
	if err != nil {
		return before, err
	}
	return after, t.record(ctx, manager.KindConsumer, verb, id, before, after)
}

// DeleteConsumer deletes a consumer with its tokens, grants and overrides. Its
// id stays taken. That of a Worker is deleted with the Worker alone.
func (t *Tx) DeleteConsumer(ctx context.Context, id string, version uint64) error {
	if w, err := t.workerOf(ctx, id); err == nil {
		return &manager.Error{Kind: manager.KindConsumer, ID: id, Err: manager.ErrState, Why: fmt.Sprintf("it is the Worker %q's, which is to be deleted", w.ID)}
	} else if !isNotFound(err) {
		return err
	}
	return t.deleteConsumer(ctx, id, version)
}

// deleteConsumer is DeleteConsumer for whomever's.
func (t *Tx) deleteConsumer(ctx context.Context, id string, version uint64) error {
	before, err := t.Consumer(ctx, id)
	if err != nil {
		return err
	}
	if _, err := consumers.checked(ctx, t, id, version); err != nil {
		return err
	}
	if err := consumers.delete(ctx, t, id); err != nil {
		return err
	}
	if err := t.touch(ctx, entryConsumer, id, true); err != nil {
		return err
	}
	return t.record(ctx, manager.KindConsumer, "delete", id, before, nil)
}

// orEmpty keeps an absent map from becoming null in JSON.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// asReference turns "not found" into "names nothing": the object of the request
// itself was found.
func asReference(err error, field string) error {
	var e *manager.Error
	if errors.As(err, &e) && errors.Is(e.Err, manager.ErrNotFound) {
		return &manager.FieldError{Field: field, Why: "names no " + string(e.Kind)}
	}
	return err
}

// noRows reports whether err says that a query found nothing.
func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// isNotFound reports whether err says that there is no such object.
func isNotFound(err error) bool { return errors.Is(err, manager.ErrNotFound) }
