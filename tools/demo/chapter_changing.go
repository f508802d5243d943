package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyward"
	"keyward/manager"
	"keyward/manager/client"
	"keyward/tools/demo/upstream"
)

// changing is what the administrator changes while the Worker works.
var changing = chapter{title: "The administrator changes things; nothing is restarted", steps: []step{
	{"a policy whose own test fails is not published", (*teller).publishBroken},
	{"the policy is edited: no issues are opened for now", (*teller).publishFreeze},
	{"the Worker may not open an issue any more", (*teller).frozen},
	{"the policy is rolled back, and it may again", (*teller).rollback},
	{"the Worker's token is rotated: for an hour both work", (*teller).rotate},
	{"one sees who still uses the old one, and revokes it", (*teller).revokeOld},
	{"the grant loses a tool: the Worker's next call is refused", (*teller).narrow},
}}

// freeze is what the administrator adds to the policy, with a test.
const (
	freeze = `
deny contains "issues are frozen" if input.mcp.name == "` + upstream.ToolCreate + `"
`
	freezeTest = `package keyward_test

import data.keyward

test_issues_are_frozen if "issues are frozen" in keyward.deny with input as {"mcp": {"name": "` + upstream.ToolCreate + `"}}

test_others_are_not if count(keyward.deny) == 0 with input as {"mcp": {"name": "` + upstream.ToolRead + `"}}
`
)

func frozenPolicy(rule string) manager.PolicySource {
	return manager.PolicySource{Modules: map[string]string{
		"policy.rego": keyward.DefaultPolicy + rule, "policy_test.rego": freezeTest,
	}}
}

func (t *teller) publishBroken(ctx context.Context) (string, error) {
	src := frozenPolicy(strings.ReplaceAll(freeze, "==", "!="))
	p, _, err := t.stage.admin.CreatePolicy(ctx, client.Request{}, manager.PolicySpec{PolicySource: src, Note: "a slip"})
	if err != nil {
		return "", err
	}
	_, _, err = t.stage.admin.PublishPolicy(ctx, wait, p.ID)
	if !errors.Is(err, manager.ErrState) || !strings.Contains(err.Error(), "test_issues_are_frozen") {
		return "", fmt.Errorf("it was not refused for its test: %w", err)
	}
	return "refused: test_issues_are_frozen fails", nil
}

func (t *teller) publishFreeze(ctx context.Context) (string, error) {
	p, _, err := t.stage.admin.CreatePolicy(ctx, client.Request{}, manager.PolicySpec{PolicySource: frozenPolicy(freeze), Note: "freeze"})
	if err != nil {
		return "", err
	}
	begin := time.Now()
	_, change, err := t.stage.admin.PublishPolicy(ctx, wait, p.ID)
	return inForce(begin, change, err)
}

func (t *teller) frozen(ctx context.Context) (string, error) {
	return t.refused(ctx, upstream.ToolCreate, map[string]any{"repository": repository, "title": "a draught"})
}

func (t *teller) rollback(ctx context.Context) (string, error) {
	begin := time.Now()
	_, change, err := t.stage.admin.RollbackPolicy(ctx, wait)
	seen, err := inForce(begin, change, err)
	if err != nil {
		return "", err
	}
	said, err := t.create(ctx)
	return seen + "; " + said, err
}

func (t *teller) rotate(ctx context.Context) (string, error) {
	old := t.w
	begin := time.Now()
	i, change, err := t.stage.admin.RotateToken(ctx, wait, t.token.ID, manager.TokenRotation{OverlapSeconds: 3600})
	seen, err := inForce(begin, change, err)
	if err != nil {
		return "", err
	}
	t.hold(i.Secret)
	for _, w := range []*worker{old, t.w} {
		if status, said, err := w.chat(ctx, "still here?"); err != nil || status != 200 {
			return "", fmt.Errorf("the LLM answered %d %q: %w", status, said, err)
		}
	}
	_ = t.s.Close() // it may have ended with the old token
	if t.s, err = t.w.connect(ctx); err != nil {
		return "", err
	}
	return seen + "; the LLM answers to both", nil
}

func (t *teller) revokeOld(ctx context.Context) (string, error) {
	l, err := t.stage.admin.Tokens(ctx, client.TokenFilter{Consumer: consumerID, Replaced: true}, manager.Page{})
	if err != nil || len(l.Items) != 1 || l.Items[0].ID != t.token.ID {
		return "", fmt.Errorf("%d tokens are in their overlap: %w", len(l.Items), err)
	}
	begin := time.Now()
	_, change, err := t.stage.admin.RevokeToken(ctx, wait, t.token.ID)
	seen, err := inForce(begin, change, err)
	return t.token.ID + ": " + seen, err
}

func (t *teller) narrow(ctx context.Context) (string, error) {
	spec := t.grant.GrantSpec
	spec.Tools = []string{upstream.ToolRead}
	spec.Arguments = nil
	begin := time.Now()
	_, change, err := t.stage.admin.UpdateGrant(ctx, wait, t.grant.ID, spec)
	seen, err := inForce(begin, change, err)
	if err != nil {
		return "", err
	}
	said, err := t.refused(ctx, upstream.ToolEcho, map[string]any{})
	return seen + "; " + said, err
}
