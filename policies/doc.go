// Package policies is the contract between a Rego policy and everything that
// asks it: what a policy is told ([Input]), what it answers ([Decision]), why
// ([Reason]) and within which bounds ([Limits]).
//
// It imports the standard library only, so that plugins, Manager and tools can
// all depend on it.
package policies
