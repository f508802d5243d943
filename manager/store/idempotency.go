package store

import (
	"context"
	"encoding/base64"
	"time"

	"keyward/manager"
)

// AnswerLife is how long the answer to a request with an idempotency key is
// kept.
const AnswerLife = 24 * time.Hour

// An Answer is what is kept of an answered request. The store can read neither
// part: they are made with keys that it doesn't have.
type Answer struct {
	ID          string // digest of who asked and their idempotency key
	Fingerprint string // keyed digest of the request
	Sealed      []byte // the answer, encrypted
}

// Answered returns the answer kept under an id. It is [manager.ErrNotFound] when
// there is none, and [manager.ErrKeyReused] when it answered another request.
func (t *Tx) Answered(ctx context.Context, id, fingerprint string) (Answer, error) {
	a := Answer{ID: id}
	var sealed string
	err := t.q.QueryRowContext(ctx, `SELECT fingerprint, answer FROM idempotency WHERE id = $1 AND expires > $2`,
		id, t.at.UnixMilli()).Scan(&a.Fingerprint, &sealed)
	if noRows(err) {
		return a, manager.ErrNotFound
	}
	if err != nil {
		return a, err
	}
	if a.Fingerprint != fingerprint {
		return a, manager.ErrKeyReused
	}
	a.Sealed, err = base64.StdEncoding.DecodeString(sealed)
	return a, err
}

// KeepAnswer keeps an answer, in the transaction of what it answers.
func (t *Tx) KeepAnswer(ctx context.Context, a Answer) error {
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM idempotency WHERE expires <= $1`, t.at.UnixMilli()); err != nil {
		return err
	}
	_, err := t.tx.ExecContext(ctx, `INSERT INTO idempotency (id, fingerprint, answer, expires) VALUES ($1, $2, $3, $4)`,
		a.ID, a.Fingerprint, base64.StdEncoding.EncodeToString(a.Sealed), t.at.Add(AnswerLife).UnixMilli())
	return err
}
