// Package rooms reads what Matrix rooms show of the audit log, and checks that
// it is all there, once and in order.
package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// maxPage bounds one answer of a homeserver, in bytes.
const maxPage = 64 << 20

// A Timeline is what a room shows, oldest first.
type Timeline struct {
	Messages []Message
	Entries  []Entry // one by one, but for ends of requests
	Ends     []Entry // of requests whose decision is among Entries
	Counted  int     // in digests
}

// A Message is a message of the room.
type Message struct {
	Sender, Body, HTML string
	Records            *Records
	Checkpoint         *Checkpoint
}

// A Checkpoint is a signed state of the log.
type Checkpoint struct {
	Size uint64 `json:"size"`
	Note string `json:"note"`
}

// Records is a message's field for machines.
type Records struct {
	Log     string   `json:"log"`
	First   uint64   `json:"first"`
	Last    uint64   `json:"last"`
	Entries []Entry  `json:"entries"`
	Digests []Digest `json:"digests"`
}

// An Entry is one entry of the audit log.
type Entry struct {
	Index    uint64 `json:"index"`
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Consumer string `json:"consumer"`
	Verdict  string `json:"verdict"`
	Action   string `json:"action"`
	Actor    string `json:"actor"`
	Object   string `json:"object"`
}

// A Digest counts entries.
type Digest struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// Read reads all of a room with the token of a member.
func Read(ctx context.Context, homeserver, token, room string) (Timeline, error) {
	var tl Timeline
	from := ""
	for {
		var page struct {
			Chunk []struct {
				Type    string `json:"type"`
				Sender  string `json:"sender"`
				Content struct {
					Body       string      `json:"body"`
					HTML       string      `json:"formatted_body"`
					Records    *Records    `json:"org.keyward.records"`
					Checkpoint *Checkpoint `json:"org.keyward.checkpoint"`
				} `json:"content"`
			} `json:"chunk"`
			End string `json:"end"`
		}
		q := url.Values{"dir": {"b"}, "limit": {"200"}}
		if from != "" {
			q.Set("from", from)
		}
		if err := get(ctx, homeserver+"/_matrix/client/v3/rooms/"+url.PathEscape(room)+"/messages?"+q.Encode(), token, &page); err != nil {
			return tl, err
		}
		for _, e := range page.Chunk {
			if e.Type == "m.room.message" {
				tl.Messages = append(tl.Messages, Message{e.Sender, e.Content.Body, e.Content.HTML, e.Content.Records, e.Content.Checkpoint})
			}
		}
		if page.End == "" || page.End == from || len(page.Chunk) == 0 {
			break
		}
		from = page.End
	}
	slices.Reverse(tl.Messages)
	for _, m := range tl.Messages {
		if m.Records == nil {
			continue
		}
		for _, e := range m.Records.Entries {
			if e.Kind == "outcome" {
				tl.Ends = append(tl.Ends, e)
			} else {
				tl.Entries = append(tl.Entries, e)
			}
		}
		for _, d := range m.Records.Digests {
			tl.Counted += d.Count
		}
	}
	return tl, nil
}

func get(ctx context.Context, url, token string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("homeserver answers %d: %.200s", res.StatusCode, b)
	}
	return json.Unmarshal(b, out)
}

// Check reports an entry that is shown twice or out of order.
func (tl Timeline) Check() error {
	for i, e := range tl.Entries {
		if i > 0 && e.Index <= tl.Entries[i-1].Index {
			return fmt.Errorf("entry %d follows entry %d", e.Index, tl.Entries[i-1].Index)
		}
	}
	return nil
}

// Compare counts which of the decisions that belong into a room it lacks, and
// which it shows more than once.
func (tl Timeline) Compare(decisions []string) (lost, doubled int) {
	seen := map[string]int{}
	for _, e := range tl.Entries {
		seen[e.ID]++
	}
	for _, id := range decisions {
		switch n := seen[id]; {
		case n == 0:
			lost++
		case n > 1:
			doubled += n - 1
		}
	}
	return lost, doubled
}
