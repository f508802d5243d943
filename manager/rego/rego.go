// Package rego lets the Manager check, test and compile policies, with the
// compiler in policies/compile.
package rego

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"keyward/manager"
	"keyward/policies/compile"
)

// maxReport bounds the report of a policy's tests, in bytes.
const maxReport = 64 << 10

// A Compiler is the Manager's policy compiler. The zero value works.
type Compiler struct {
	Schema []byte // JSON schema of the input; nil checks no types
}

var _ manager.Compiler = Compiler{}

// Compile returns the program of a policy.
func (c Compiler) Compile(_ context.Context, src manager.PolicySource) ([]byte, error) {
	s, err := source(src)
	if err != nil {
		return nil, err
	}
	r, err := compile.Compile(s, compile.Options{Schema: c.Schema})
	if err != nil {
		return nil, asPolicyError(err)
	}
	return r.Program, nil
}

// Test runs the tests of a policy.
func (c Compiler) Test(ctx context.Context, src manager.PolicySource) (manager.PolicyTests, error) {
	s, err := source(src)
	if err != nil {
		return manager.PolicyTests{}, err
	}
	var report bytes.Buffer
	err = compile.Test(ctx, s, compile.TestOptions{}, &report)
	if err != nil && !errors.Is(err, compile.ErrTestsFailed) {
		return manager.PolicyTests{}, asPolicyError(err)
	}
	return manager.PolicyTests{Passed: err == nil, Report: string(report.Next(maxReport))}, nil
}

func source(src manager.PolicySource) (compile.Source, error) {
	s := compile.Source{Modules: src.Modules, Data: map[string]any{}}
	if len(src.Data) == 0 {
		return s, nil
	}
	d := json.NewDecoder(bytes.NewReader(src.Data))
	d.UseNumber()
	if err := d.Decode(&s.Data); err != nil {
		return s, &manager.FieldError{Field: "data", Why: "must be a JSON object"}
	}
	return s, nil
}

// asPolicyError says what is wrong with a policy. What the compiler can't place
// is a fault of the policy too: it was given nothing else.
func asPolicyError(err error) error {
	var found compile.Errors
	if !errors.As(err, &found) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return &manager.PolicyError{Faults: []manager.PolicyFault{{Message: err.Error()}}}
	}
	e := &manager.PolicyError{Faults: make([]manager.PolicyFault, len(found))}
	for i, f := range found {
		e.Faults[i] = manager.PolicyFault{File: f.File, Row: f.Row, Column: f.Col, Message: f.Message}
	}
	return e
}
