package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
	"keyward/manager/matrix/command"
	"keyward/manager/matrix/message"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

// Bounds of an answer.
const (
	maxListed    = 90
	maxExplained = 5
)

// command runs a message of the Manager's room if it is a command of somebody
// who may give it, once, and answers it. Nobody else gets an answer.
func (s *Service) command(ctx context.Context, place id.RoomID, e *event.Event) error {
	var m struct {
		Type    string `json:"msgtype"`
		Body    string `json:"body"`
		Relates struct {
			Type string `json:"rel_type"`
		} `json:"m.relates_to"`
	}
	if json.Unmarshal(e.Content.VeryRaw, &m) != nil || m.Type != "m.text" || m.Relates.Type == "m.replace" {
		return nil // an edit is no second command
	}
	c, bad := command.Parse(m.Body)
	if errors.Is(bad, command.ErrNone) {
		return nil
	}
	if ok, err := s.mayCommand(ctx, place, e.Sender); err != nil || !ok {
		if err == nil {
			s.metrics.refused.Inc()
			s.log.Warn("command of somebody who may not", slog.String("user", fmt.Sprintf("%.255q", e.Sender)))
		}
		return err
	}
	if bad != nil {
		c.Verb = command.Help
	}
	answer, known, err := s.store.CommandAnswer(ctx, string(e.ID))
	if err != nil {
		return err
	}
	switch {
	case known && answer == "":
		return nil
	case !known:
		if answer, err = s.runCommand(ctx, c, bad, e); err != nil {
			return err
		}
		s.metrics.commands.WithLabelValues(string(c.Verb)).Inc()
	}
	sum := sha256.Sum256([]byte(e.ID))
	_, err = s.api().SendMessageEvent(ctx, place, event.EventMessage, json.RawMessage(answer),
		mautrix.ReqSendEvent{TransactionID: "kwc" + hex.EncodeToString(sum[:16])})
	if refused(err) && asked(err) == 0 {
		s.log.Warn("a command was run, but the room does not take the answer", slog.Any("error", brief(err)))
		return nil
	}
	return err
}

// mayCommand reports whether a user is an admin by the configuration, and by the
// room as it is now.
func (s *Service) mayCommand(ctx context.Context, place id.RoomID, user id.UserID) (bool, error) {
	if !slices.Contains(s.opt.Admins, user) {
		return false, nil
	}
	var power struct {
		Users map[id.UserID]int `json:"users"`
	}
	if err := s.api().StateEvent(ctx, place, event.StatePowerLevels, "", &power); err != nil {
		return false, err
	}
	return power.Users[user] >= powerAdmin, nil
}

// runCommand runs a command and records it, in one transaction, with what it is
// answered.
func (s *Service) runCommand(ctx context.Context, c command.Command, bad error, e *event.Event) (answer string, err error) {
	by := manager.Actor{ID: string(e.Sender), Name: string(e.Sender), Role: manager.Operator}
	_, err = s.store.Mutate(ctx, store.Mutation{By: by, Request: string(e.ID)}, func(tx *store.Tx) error {
		var n message.Note
		if bad != nil {
			n.Add("not understood: %", bad.Error())
		}
		if err := s.do(ctx, tx, c, &n); err != nil {
			var own *manager.Error
			var field *manager.FieldError
			if !errors.As(err, &own) && !errors.As(err, &field) {
				return err
			}
			n = message.Note{} // what it did is undone by nothing: errors of these come before any change
			n.Add("% not done: %", string(c.Verb), err.Error())
		}
		content := n.Content()
		content.Relates = new(message.Relates)
		content.Relates.InReplyTo.Event = string(e.ID)
		b, err := json.Marshal(content)
		if err != nil {
			return err
		}
		answer = string(b)
		return tx.RunCommand(ctx, string(e.ID), string(c.Verb), answer)
	})
	return answer, err
}

func (s *Service) do(ctx context.Context, tx *store.Tx, c command.Command, n *message.Note) error {
	switch c.Verb {
	case command.Status:
		return s.status(ctx, tx, n)
	case command.Who:
		return who(ctx, tx, n)
	case command.Why:
		return why(ctx, tx, c.Arg, n)
	case command.Grants:
		return grants(ctx, tx, c.Arg, n)
	case command.Suspend:
		return setState(ctx, tx, c.Arg, snapshot.Suspended, n)
	case command.Resume:
		return setState(ctx, tx, c.Arg, snapshot.Active, n)
	case command.Revoke:
		return setState(ctx, tx, c.Arg, snapshot.Revoked, n)
	case command.Wake:
		return wake(ctx, tx, strings.TrimPrefix(c.Arg, manager.ConsumerPrefix), n)
	default:
		for _, line := range command.Usage() {
			n.Add(line)
		}
		return nil
	}
}

func setState(ctx context.Context, tx *store.Tx, consumer string, state snapshot.State, n *message.Note) error {
	c, err := tx.SetConsumerState(ctx, consumer, 0, state)
	if err != nil {
		return err
	}
	n.Add("% is %, generation "+fmt.Sprint(c.Generation), c.ID, string(c.State))
	return nil
}

func wake(ctx context.Context, tx *store.Tx, worker string, n *message.Note) error {
	w, err := tx.WakeWorker(ctx, worker, 0)
	if err != nil {
		return err
	}
	n.Add("% is awake, generation "+fmt.Sprint(w.Generation), w.ID)
	return nil
}

func (s *Service) status(ctx context.Context, tx *store.Tx, n *message.Note) error {
	st, err := tx.Counts(ctx)
	if err != nil {
		return err
	}
	n.Add(fmt.Sprintf("generation %d, %d consumers, %d targets, %d grants, policy %%", st.Generation, st.Consumers, st.Targets, st.Grants), st.Policy)
	gateways, err := tx.Gateways(ctx, manager.Page{Limit: maxListed})
	if err != nil {
		return err
	}
	for _, g := range gateways.Items {
		n.Add(fmt.Sprintf("gateway %% is %s, %d generations behind", g.Connection, g.Behind), g.ID)
	}
	waiting, _, err := tx.Waiting(ctx)
	if err != nil {
		return err
	}
	n.Add(fmt.Sprintf("%d entries wait for rooms", waiting))
	return nil
}

func who(ctx context.Context, tx *store.Tx, n *message.Note) error {
	l, err := tx.Consumers(ctx, "", manager.Page{Limit: maxListed})
	if err != nil {
		return err
	}
	for _, c := range l.Items {
		n.Add("% (%) is %", c.ID, c.Kind, string(c.State))
	}
	switch {
	case len(l.Items) == 0:
		n.Add("nobody")
	case l.After != "":
		n.Add("and more: keyward consumer list")
	}
	return nil
}

func grants(ctx context.Context, tx *store.Tx, consumer string, n *message.Note) error {
	if consumer != "" {
		if _, err := tx.Consumer(ctx, consumer); err != nil {
			return err
		}
	}
	l, err := tx.Grants(ctx, store.GrantFilter{Consumer: consumer}, manager.Page{Limit: maxListed})
	if err != nil {
		return err
	}
	for _, g := range l.Items {
		b, err := json.Marshal(g.GrantSpec)
		if err != nil {
			return err
		}
		n.Add("% may use %: % %", g.Consumer, g.Target, string(b), g.ID)
	}
	switch {
	case len(l.Items) == 0:
		n.Add("none")
	case l.After != "":
		n.Add("and more: keyward grant list")
	}
	return nil
}

// why tells what the log says of a decision.
func why(ctx context.Context, tx *store.Tx, decision string, n *message.Note) error {
	list, err := tx.Decision(ctx, decision, maxExplained)
	if err != nil {
		return err
	}
	for _, e := range list {
		r := e.Record
		if r == nil {
			continue
		}
		n.Add("% at position "+fmt.Sprint(e.Position)+": %", string(e.Kind), r.Verdict.String())
		n.Add("who and what: % % % %", r.Consumer, r.Target, r.Method, r.Name)
		n.Add("because: % %", string(r.Reason), strings.Join(r.Details, "; "))
		n.Add("rules: % of policy %", strings.Join(r.Rules, " "), r.Policy)
		n.Add("arguments: % (SHA-256 %)", string(r.Arguments), r.Digest)
	}
	if len(list) == 0 {
		n.Add("no decision has the ID %", decision)
	}
	return nil
}
