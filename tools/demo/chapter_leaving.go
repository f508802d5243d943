package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"keyward/manager"
	"keyward/manager/client"
)

// leaving is the end of the Worker, and what is left of it.
var leaving = chapter{title: "The Worker is cut off, and what is left", steps: []step{
	{"the administrator revokes the Worker", (*teller).revoke},
	{"its very next request is refused", (*teller).cutOff},
	{"every change is in the audit log, with who made it", (*teller).audit},
	{"no real key was in anything that the Worker was told", (*teller).nothingHeard},
	{"nor is one in the Manager's store", (*teller).nothingKept},
}}

func (t *teller) revoke(ctx context.Context) (string, error) {
	begin := time.Now()
	_, change, err := t.stage.admin.RevokeConsumer(ctx, wait, consumerID)
	return inForce(begin, change, err)
}

func (t *teller) cutOff(ctx context.Context) (string, error) {
	status, said, err := t.w.chat(ctx, "am I still here?")
	t.heard.WriteString(said)
	if err == nil && (status != 401 || !strings.Contains(said, "token_revoked")) {
		err = fmt.Errorf("the gateway answered %d %q", status, said)
	}
	return "401 token_revoked", err
}

func (t *teller) audit(ctx context.Context) (string, error) {
	events, err := client.All(ctx, func(ctx context.Context, p manager.Page) (manager.List[manager.Event], error) {
		return t.stage.admin.Events(ctx, client.EventFilter{}, p)
	})
	if err != nil {
		return "", err
	}
	last := events[len(events)-1]
	if last.Action != "consumer.revoke" || last.Object != consumerID || last.Actor.Name == "" {
		return "", fmt.Errorf("the last event is %s of %s", last.Action, last.Object)
	}
	return fmt.Sprintf("%d events; the last: %s %s by %s", len(events), last.Action, last.Object, last.Actor.Name), nil
}

func (t *teller) realKeys() []string {
	return []string{t.stage.secrets.mcpKey, t.stage.secrets.llmKey}
}

func (t *teller) nothingHeard(context.Context) (string, error) {
	for _, key := range t.realKeys() {
		if strings.Contains(t.heard.String(), key) {
			return "", errors.New("a real key reached the Worker")
		}
	}
	return fmt.Sprintf("searched %d bytes", t.heard.Len()), nil
}

func (t *teller) nothingKept(context.Context) (string, error) {
	size := 0
	for _, name := range []string{"keyward.db", "keyward.db-wal"} {
		b, err := os.ReadFile(t.stage.path(name))
		if err != nil {
			return "", err
		}
		for _, secret := range append(t.realKeys(), t.stage.secrets.worker, t.stage.secrets.admin, t.leaked) {
			if secret == "" {
				continue // there was no Worker in a container
			}
			if bytes.Contains(b, []byte(secret)) {
				return "", errors.New(name + " holds a secret in clear")
			}
		}
		size += len(b)
	}
	return fmt.Sprintf("searched %d bytes, for tokens too", size), nil
}
