package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"keyward/manager"
)

// A LogFilter narrows a list of entries of the audit log. The zero value takes
// all.
type LogFilter struct {
	Kind                                              manager.EntryKind
	ID, Consumer, Target, Name, Verdict, Reason, Rule string
	Since, Until                                      time.Time
}

// Log returns a page of entries of the audit log, oldest first.
func (c *Client) Log(ctx context.Context, f LogFilter, p manager.Page) (manager.List[manager.LogEntry], error) {
	q := url.Values{
		"kind": {string(f.Kind)}, "id": {f.ID}, "consumer": {f.Consumer}, "target": {f.Target}, "name": {f.Name},
		"verdict": {f.Verdict}, "reason": {f.Reason}, "rule": {f.Rule}, "since": {instant(f.Since)}, "until": {instant(f.Until)},
	}
	return list[manager.LogEntry](ctx, c, "/v1/log", q, p)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Checkpoints returns a page of signed checkpoints, the smallest first.
func (c *Client) Checkpoints(ctx context.Context, p manager.Page) (manager.List[manager.Checkpoint], error) {
	return list[manager.Checkpoint](ctx, c, "/v1/log/checkpoints", nil, p)
}

// ProveEntry proves that an entry is in the log's first size entries.
func (c *Client) ProveEntry(ctx context.Context, size, position uint64) (manager.Proof, error) {
	return get[manager.Proof](ctx, c, "/v1/log/proof", url.Values{"size": {decimal(size)}, "position": {decimal(position)}})
}

// ProveGrowth proves that the log's first size entries begin with its first old
// ones.
func (c *Client) ProveGrowth(ctx context.Context, size, old uint64) (manager.Proof, error) {
	return get[manager.Proof](ctx, c, "/v1/log/growth", url.Values{"size": {decimal(size)}, "old": {decimal(old)}})
}

// DropLog drops the text of records before a position.
func (c *Client) DropLog(ctx context.Context, r Request, before uint64) (Change, error) {
	return c.call(ctx, "POST /v1/log/drop", nil, r, map[string]uint64{"before": before}, nil)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// ExportLog writes all of the audit log as keyward audit verify reads it.
func (c *Client) ExportLog(ctx context.Context, w io.Writer) error {
	size, next, err := c.exportPart(ctx, w, nil)
	for err == nil && next < size {
		_, next, err = c.exportPart(ctx, w, url.Values{"size": {decimal(size)}, "from": {decimal(next)}})
	}
	return err
}

// exportPart writes one part, and returns what the answer says of the rest.
func (c *Client) exportPart(ctx context.Context, w io.Writer, query url.Values) (size, next uint64, err error) {
	u := c.base.JoinPath("/v1/log/export")
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close() // it was only read
	if res.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return 0, 0, err
		}
		return 0, 0, problem(res, b)
	}
	if size, err = strconv.ParseUint(res.Header.Get("Keyward-Log-Size"), 10, 64); err != nil {
		return 0, 0, errors.New("client: the answer is no part of an export")
	}
	next, _ = strconv.ParseUint(res.Header.Get("Keyward-Log-Next"), 10, 64) // absent: 0, the first part
	_, err = io.Copy(w, res.Body)
	return size, next, err
}
