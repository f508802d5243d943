package client_test

import (
	"testing"

	"keyward/manager"
	"keyward/manager/client"
)

// An id of two dots is escaped as it is: without a look it would lead a call to
// the object above, and delete that.
func TestNoIDLeadsElsewhere(t *testing.T) {
	c, _, _ := newClient(t)
	ctx := t.Context()
	if _, _, err := c.CreateConsumer(ctx, client.Request{}, manager.ConsumerSpec{ID: "worker", Kind: "worker"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"..", ".", ""} {
		if _, _, err := c.ClearConsumerCredential(ctx, client.Request{}, "worker", id); err == nil {
			t.Errorf("the credential of target %q was taken from a consumer", id)
		}
		if _, err := c.Consumer(ctx, id); err == nil {
			t.Errorf("there is a consumer %q", id)
		}
	}
	for _, id := range []string{"../worker", "..%2fworker", "worker/..", "worker?state=x", "worker#"} {
		if _, err := c.Consumer(ctx, id); err == nil {
			t.Errorf("%q is a consumer", id)
		}
	}
	if _, err := c.Consumer(ctx, "worker"); err != nil {
		t.Errorf("the consumer is gone: %v", err)
	}
}
