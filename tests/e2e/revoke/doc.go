// Package revoke measures how soon a change at the Manager is in force on every
// worker thread of a real Envoy, and how soon open streams end. `make e2e` runs
// a few trials, `make bench-revoke` a thousand. It also breaks that Envoy and its
// Manager, and has an agent administer through both.
package revoke
