package policies

// A Reason is the stable code of a refusal. It is all a client hears of why:
// it never carries policy text.
type Reason string

// The reasons.
const (
	ReasonNone Reason = "" // allowed

	// Who is it?
	TokenMissing   Reason = "token_missing"
	TokenAmbiguous Reason = "token_ambiguous"
	TokenMalformed Reason = "token_malformed"
	TokenUnknown   Reason = "token_unknown"
	TokenExpired   Reason = "token_expired"
	TokenRevoked   Reason = "token_revoked"
	ConsumerPaused Reason = "consumer_suspended"
	TokenMisplaced Reason = "token_misplaced"

	// What is asked?
	NoTarget        Reason = "no_target"
	PathAmbiguous   Reason = "path_ambiguous"
	OriginForbidden Reason = "origin_forbidden"
	MethodForbidden Reason = "http_method_not_allowed"
	UpgradeRefused  Reason = "upgrade_refused"
	MediaType       Reason = "unsupported_media_type"
	Encoding        Reason = "unsupported_encoding"
	BodyMissing     Reason = "body_missing"
	BodyTooLarge    Reason = "body_too_large"
	Malformed       Reason = "malformed"
	InvalidRequest  Reason = "invalid_request"
	InvalidParams   Reason = "invalid_params"
	BatchRefused    Reason = "batch_refused"
	HeaderMismatch  Reason = "header_mismatch"
	Revision        Reason = "unsupported_revision"
	UnknownMethod   Reason = "unknown_method"
	UnknownSession  Reason = "unknown_session"
	UnknownEvent    Reason = "unknown_event"

	// May it?
	NotGranted   Reason = "not_granted"
	DeniedByRule Reason = "denied_by_rule"
	AskFirst     Reason = "approval_required"

	// Is Keyward itself able to say?
	NoSnapshot     Reason = "no_snapshot"
	SnapshotStale  Reason = "snapshot_stale"
	NoVerdict      Reason = "no_verdict"
	NoCredential   Reason = "no_credential"
	WrongUpstream  Reason = "wrong_upstream"
	PolicyFailed   Reason = "policy_failed"
	Internal       Reason = "internal"
	AuditFull      Reason = "audit_unavailable"
	AnswerRefused  Reason = "answer_refused"
	AnswerTooLarge Reason = "answer_too_large"
)

// A Refusal is how a [Reason] looks to a client.
type Refusal struct {
	Status  int    // HTTP status where the answer is not a JSON-RPC error in a 200
	RPCCode int    // JSON-RPC error code
	Title   string // one sentence that an agent can act on
}

// JSON-RPC 2.0 section 5.1 and Model Context Protocol codes, used where the
// protocol names the case; every code of our own is positive, so that it lies
// outside the reserved ranges.
const (
	rpcParse          = -32700
	rpcInvalidRequest = -32600
	rpcUnknownMethod  = -32601
	rpcInvalidParams  = -32602
	rpcHeaderMismatch = -32020
	rpcRevision       = -32022
)

var refusals = map[Reason]Refusal{
	TokenMissing:   {401, 40100, "No consumer token was sent. Send it as Authorization: Bearer."},
	TokenAmbiguous: {401, 40101, "More than one credential was sent. Send the consumer token once."},
	TokenMalformed: {401, 40102, "The credential sent is not a consumer token."},
	TokenUnknown:   {401, 40103, "The consumer token is not known."},
	TokenExpired:   {401, 40104, "The consumer token has expired."},
	TokenRevoked:   {401, 40105, "The consumer token has been revoked."},
	ConsumerPaused: {401, 40106, "This consumer is suspended."},
	TokenMisplaced: {400, 40000, "A consumer token must not appear in a URL or a body."},

	NoTarget:        {404, 40400, "Nothing is served here."},
	PathAmbiguous:   {404, 40401, "The path can be read in more than one way."},
	OriginForbidden: {403, 40310, "Requests from this web origin are not accepted."},
	MethodForbidden: {405, 40500, "This HTTP method is not accepted here."},
	UpgradeRefused:  {400, 40001, "Protocol upgrades are not accepted here."},
	MediaType:       {415, 41500, "The body must be application/json in UTF-8."},
	Encoding:        {415, 41501, "The body must not be compressed."},
	BodyMissing:     {400, rpcInvalidRequest, "The request has no body."},
	BodyTooLarge:    {413, 41300, "The body is too large."},
	Malformed:       {400, rpcParse, "The body is not one strict JSON value."},
	InvalidRequest:  {400, rpcInvalidRequest, "The body is not a valid MCP message."},
	InvalidParams:   {400, rpcInvalidParams, "The parameters of the method are missing or wrong."},
	BatchRefused:    {400, rpcInvalidRequest, "Batches are not accepted."},
	HeaderMismatch:  {400, rpcHeaderMismatch, "An MCP header is missing or differs from the body."},
	Revision:        {400, rpcRevision, "The protocol revision is not supported here."},
	UnknownMethod:   {404, rpcUnknownMethod, "The method is not available here."},
	UnknownSession:  {404, 40402, "The session is not known. Start a new one."},
	UnknownEvent:    {400, 40002, "The event to go on from is not known."},

	NotGranted:   {403, 40300, "Permission denied: this consumer has no grant for it."},
	DeniedByRule: {403, 40301, "Permission denied by a policy rule."},
	AskFirst:     {403, 40302, "Permission denied until an administrator approves it."},

	NoSnapshot:     {503, 50300, "The gateway has no configuration in force."},
	SnapshotStale:  {503, 50304, "The gateway has lost touch with its Manager."},
	NoVerdict:      {403, 40303, "Permission denied: the request was not decided."},
	NoCredential:   {503, 50301, "The credential of this target is not available."},
	WrongUpstream:  {403, 40304, "Permission denied: the credential does not belong to this upstream."},
	PolicyFailed:   {503, 50302, "The policy could not be evaluated."},
	Internal:       {503, 50303, "The gateway failed safely."},
	AuditFull:      {503, 50305, "The gateway can't record requests at present."},
	AnswerRefused:  {502, 50200, "The upstream's answer can't be passed on safely."},
	AnswerTooLarge: {502, 50201, "The upstream's answer is too large to be checked."},
}

// Refusal returns how r looks to a client. A reason that is not in the table
// looks like [Internal].
func (r Reason) Refusal() Refusal {
	if f, ok := refusals[r]; ok {
		return f
	}
	return refusals[Internal]
}
