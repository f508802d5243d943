// Package arch holds no code: its tests keep the repository in the shape that
// docs/rationale.md describes, and fail with the reason.
package arch
