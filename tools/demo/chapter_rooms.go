package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

// rooms is what Matrix shows of all this, where a homeserver can be had.
var rooms = chapter{title: "What an administrator sees in Matrix", needs: func(s *Stage) error { return s.noMatrix }, steps: []step{
	{"the Worker's room shows each of its calls", (*teller).workersRoom},
	{"the Manager's room shows what was changed, and by whom", (*teller).managersRoom},
	{"the administrator suspends the Worker from there, and lets it go on", (*teller).commands},
}}

const (
	showWithin = time.Minute // until rooms are made and filled
	shownLines = 4           // of a room that are printed
	leftOut    = "LEFT OUT: "
)

// line is a message of a room.
type line struct {
	Type    string `json:"type"`
	Sender  string `json:"sender"`
	Content struct {
		Body    string `json:"body"`
		Records *struct {
			Entries []struct {
				Kind string `json:"kind"`
			} `json:"entries"`
		} `json:"org.keyward.records"`
	} `json:"content"`
}

// room waits until a room exists, lets the administrator in, and returns where it
// is in Matrix.
func (t *teller) room(ctx context.Context, id string) (place string, err error) {
	err = until(ctx, func() error {
		r, err := t.stage.admin.Room(ctx, id)
		if err != nil || r.Matrix == "" {
			return errors.Join(errors.New("the room is not made"), err)
		}
		place = r.Matrix
		return t.stage.matrix.call(ctx, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(place), t.stage.matrix.token, struct{}{}, nil)
	})
	return place, err
}

// until tries again and again what takes a moment.
func until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, showWithin)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lines waits until a room shows an entry of a kind, and returns the newest lines
// of those, the newest last.
func (t *teller) lines(ctx context.Context, place, kind string) (string, error) {
	var found []string
	err := t.messages(ctx, place, func(list []line) error {
		found = nil
		for _, m := range list {
			if m.Content.Records == nil || len(m.Content.Records.Entries) == 0 || m.Content.Records.Entries[0].Kind != kind {
				continue
			}
			found = append(strings.Split(m.Content.Body, "\n"), found...)
		}
		if len(found) == 0 {
			return fmt.Errorf("the room shows nothing of kind %s", kind)
		}
		return nil
	})
	return strings.Join(found[max(0, len(found)-shownLines):], "\n    "), err
}

// said waits until a room shows something that an account said.
func (t *teller) said(ctx context.Context, place, account string) (string, error) {
	var said string
	err := t.messages(ctx, place, func(list []line) error {
		i := slices.IndexFunc(list, func(m line) bool { return m.Sender == account && m.Type == "m.room.message" })
		if i < 0 {
			return fmt.Errorf("%s has said nothing", account)
		}
		said = account + ": " + list[i].Content.Body
		return nil
	})
	return said, err
}

// messages waits until the newest messages of a room, the newest first, are as
// they should be.
func (t *teller) messages(ctx context.Context, place string, check func([]line) error) error {
	return until(ctx, func() error {
		var page struct {
			Chunk []line `json:"chunk"`
		}
		path := "/_matrix/client/v3/rooms/" + url.PathEscape(place) + "/messages?dir=b&limit=100"
		if err := t.stage.matrix.call(ctx, http.MethodGet, path, t.stage.matrix.token, nil, &page); err != nil {
			return err
		}
		return check(page.Chunk)
	})
}

func (t *teller) workersRoom(ctx context.Context) (string, error) {
	place, err := t.room(ctx, manager.RoomID(manager.RoomWorker, consumerID))
	if err != nil {
		return "", err
	}
	return t.lines(ctx, place, "mcp")
}

func (t *teller) managersRoom(ctx context.Context) (string, error) {
	place, err := t.room(ctx, manager.ManagerRoom)
	if err != nil {
		return "", err
	}
	return t.lines(ctx, place, "action")
}

func (t *teller) commands(ctx context.Context) (string, error) {
	place, err := t.room(ctx, manager.ManagerRoom)
	if err != nil {
		return "", err
	}
	if err := t.command(ctx, place, "suspend", snapshot.Suspended); err != nil {
		return "", err
	}
	return "!keyward suspend " + consumerID + ", !keyward resume " + consumerID, t.command(ctx, place, "resume", snapshot.Active)
}

// command says a command in the Manager's room and waits for what it does.
func (t *teller) command(ctx context.Context, place, verb string, state snapshot.State) error {
	path := "/_matrix/client/v3/rooms/" + url.PathEscape(place) + "/send/m.room.message/" + verb
	say := map[string]string{"msgtype": "m.text", "body": "!keyward " + verb + " " + consumerID}
	if err := t.stage.matrix.call(ctx, http.MethodPut, path, t.stage.matrix.token, say, nil); err != nil {
		return err
	}
	return until(ctx, func() error {
		c, err := t.stage.admin.Consumer(ctx, consumerID)
		if err == nil && c.State != state {
			err = fmt.Errorf("after %s it is %s", verb, c.State)
		}
		return err
	})
}
