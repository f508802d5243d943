// Package compile turns Rego policies into programs for package engine.
//
// It is the only place that imports OPA: OPA's parser, type checker and planner
// read the policy, and this package lowers the plan into the engine's
// instructions. A policy that uses what the engine does not have is refused
// here, by name and place, so that nothing is left to fail when it is asked.
package compile
