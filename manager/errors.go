package manager

import (
	"errors"
	"fmt"
)

// Errors that callers act on. The API gives each its own problem type.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("already exists")
	ErrDeleted   = errors.New("existed and was deleted; ids are never used again")
	ErrVersion   = errors.New("was changed by somebody else")
	ErrState     = errors.New("not possible in its present state")
	ErrLimit     = errors.New("limit reached")
	ErrForbidden = errors.New("not allowed")
	ErrInvalid   = errors.New("not valid")
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrUnavailable is of something beside the store: the same may work later.
	ErrUnavailable = errors.New("does not answer")
)

// An Error says which object an error is about. It never holds a secret.
type Error struct {
	Kind Kind   // what kind of object
	ID   string // which one; may be empty
	Err  error  // one of the errors above
	Why  string // details; may be empty
}

func (e *Error) Error() string {
	s := string(e.Kind)
	if e.ID != "" {
		s += fmt.Sprintf(" %q", e.ID)
	}
	s += ": " + e.Err.Error()
	if e.Why != "" {
		s += ": " + e.Why
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// A FieldError says which field of a request is not valid, and why.
type FieldError struct {
	Field string // such as match[0].path
	Why   string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Why }

func (e *FieldError) Unwrap() error { return ErrInvalid }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Why: fmt.Sprintf(format, args...)}
}
