package snapshot

import "keyward/policies"

// Bounds of a snapshot. They stop a broken writer, not an attacker: who can
// write snapshots is trusted with more than memory.
const (
	MaxBytes       = policies.MaxSnapshotBytes
	MaxTargets     = 10_000
	MaxConsumers   = 200_000
	MaxCredentials = 200_000
	MaxMatches     = 64     // of one target
	MaxUpstreams   = 64     // hosts, and clusters, of one target or credential
	MaxLabels      = 64     // of one target or consumer
	MaxTokens      = 64     // of one consumer
	MaxGrants      = 10_000 // of one consumer
	MaxNames       = 4096   // in one list of a grant
	MaxOverrides   = 10_000 // credentials of one consumer's own
	MaxSealed      = 16     // sealings of one credential: gateway keys in use at a time
	MaxRevisions   = 16     // of one MCP target
	MaxOrigins     = 64     // of one MCP target

	MaxIDBytes      = 128
	MaxLabelBytes   = 256 // a label's name, and its value
	MaxHostBytes    = 253 // RFC 1035 section 3.1, as text
	MaxRouteBytes   = 512 // a gateway's name of a route or cluster
	MaxPathBytes    = policies.MaxURIBytes
	MaxTextBytes    = 256      // header name, prefix, user name, query parameter
	MaxSealedBytes  = 16 << 10 // one ciphertext with its encapsulated key
	MaxProgramBytes = 16 << 20
	SessionKeyBytes = 32 // exactly
	MaxValueDepth   = 8  // nesting of a value in an argument constraint
)
