// Package faults breaks what Keyward stands on, and checks that nothing is lost,
// half applied or widened.
package faults
