package forward

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"keyward/manager"
	"keyward/policies"
)

// OPA sends decisions to an endpoint for decision logs of Open Policy Agent
// (openpolicyagent.org/docs/management-decision-logs): a POST of a JSON array,
// compressed by gzip.
type OPA struct {
	to     Receiver
	client *http.Client
}

var _ Sink = (*OPA)(nil)

// NewOPA returns the sink for an endpoint, whose URL is whole (…/logs).
func NewOPA(to Receiver) (*OPA, error) {
	if err := to.Validate(); err != nil {
		return nil, err
	}
	return &OPA{to, to.newClient()}, nil
}

// An event is one decision, as OPA's own EventV1 has it.
type event struct {
	Labels      map[string]string `json:"labels"`
	DecisionID  string            `json:"decision_id"`
	Bundles     map[string]bundle `json:"bundles,omitempty"`
	Path        string            `json:"path"`
	Input       input             `json:"input"`
	Result      result            `json:"result"`
	Erased      []string          `json:"erased,omitempty"`
	Masked      []string          `json:"masked,omitempty"`
	RequestedBy string            `json:"requested_by,omitempty"`
	Timestamp   time.Time         `json:"timestamp"`
	Metrics     map[string]int64  `json:"metrics,omitempty"`
	RequestID   uint64            `json:"req_id"`
}

type bundle struct {
	Revision string `json:"revision"`
}

type input struct {
	Kind      policies.Kind `json:"kind,omitempty"`
	Consumer  string        `json:"consumer,omitempty"`
	Target    string        `json:"target,omitempty"`
	Host      string        `json:"host,omitempty"`
	Method    string        `json:"method,omitempty"`
	Name      string        `json:"name,omitempty"`
	Arguments policies.JSON `json:"arguments,omitempty"`
	Digest    string        `json:"arguments_sha256,omitempty"`
}

type result struct {
	Verdict policies.Verdict `json:"verdict"`
	Reason  policies.Reason  `json:"reason,omitempty"`
	Details []string         `json:"details,omitempty"`
	Rules   []string         `json:"rules,omitempty"`
	Cut     string           `json:"cut,omitempty"` // the decision whose answer was ended by this one
	Status  int              `json:"status,omitempty"`
}

// Send sends those of entries that are decisions.
func (o *OPA) Send(ctx context.Context, epoch string, entries []manager.LogEntry) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	n := 0
	for _, e := range entries {
		if e.Kind != manager.EntryDecision && e.Kind != manager.EntryCut || e.Record == nil {
			continue
		}
		text, err := json.Marshal(eventOf(epoch, e))
		if err != nil {
			return err
		}
		_, _ = z.Write([]byte{"[,"[min(n, 1)]}) // a buffer takes all
		_, _ = z.Write(text)
		n++
	}
	if n == 0 {
		return nil
	}
	_, _ = z.Write([]byte("]"))
	if err := z.Close(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.to.URL, &b)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	res, err := o.client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	return res.Body.Close()
}

func eventOf(epoch string, e manager.LogEntry) event {
	r := e.Record
	ev := event{
		Labels: map[string]string{
			"app": "keyward", "id": epoch, "position": strconv.FormatUint(e.Position, 10), "gateway": e.Gateway, "vm": e.VM,
		},
		DecisionID: r.ID, Path: "keyward/allow", Erased: r.Erased, Masked: r.Masked, RequestedBy: e.Gateway,
		Timestamp: r.Time, RequestID: e.Position,
		Input: input{r.Kind, r.Consumer, r.Target, r.Host, r.Method, r.Name, r.Arguments, r.Digest},
		Result: result{
			Verdict: r.Verdict, Reason: r.Reason, Details: r.Details, Rules: r.Rules, Cut: r.Of, Status: r.Status,
		},
	}
	if r.Policy != "" {
		ev.Bundles = map[string]bundle{"keyward": {r.Policy}}
	}
	if r.Duration > 0 {
		ev.Metrics = map[string]int64{
			"timer_server_handler_ns": int64(r.Duration), "request_bytes": int64(r.RequestBytes), "response_bytes": int64(r.ResponseBytes),
		}
		if r.Tokens != nil {
			ev.Metrics["input_tokens"], ev.Metrics["output_tokens"] = int64(r.Tokens.Input), int64(r.Tokens.Output)
		}
	}
	return ev
}
