// Package manager names what the Manager controls - consumers, their tokens,
// targets, credentials, grants, policies, gateways, and who may administer them
// - and the rules that hold for each.
//
// It holds no driver: manager/store keeps the nouns, manager/api serves them,
// manager/client calls that API. The types carry the struct tags from which the
// OpenAPI document is made, so that store, API and client share one definition.
//
// # Mutations
//
// Every change is one transaction that takes the next generation, and commits
// the change, what the gateways must hear of it, and its audit event together.
// Generations are without gaps and in the order of commits. An epoch is the life
// of one sequence of generations; a restored store starts a new one.
//
// # Secrets
//
// No type here but [Issued] ever holds a secret, and an Issued is never stored.
package manager
