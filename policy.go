// Package keyward holds the default policy, for programs that start with it.
package keyward

import _ "embed"

// DefaultPolicy is policy.rego: deny by default, allow by grant.
//
//go:embed policy.rego
var DefaultPolicy string
