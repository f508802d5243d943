package snapshot

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/policies"
)

func TestDiffLeadsToTheNewerSnapshot(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Snapshot)
		wantErr error
	}{
		{"nothing changes", func(*Snapshot) {}, nil},
		{"a consumer is suspended", func(s *Snapshot) { s.Consumers[0].State = Suspended }, nil},
		{"a consumer goes", func(s *Snapshot) { s.Consumers = s.Consumers[:1] }, nil},
		{"a target comes", func(s *Snapshot) {
			s.Targets = append(s.Targets, Target{ID: "new", Kind: policies.KindHTTP, Match: []Match{{Path: "/new"}}})
		}, nil},
		{"a credential is rotated", func(s *Snapshot) { s.Credentials[0].Version = 3 }, nil},
		{"the policy changes", func(s *Snapshot) { s.Policy = &Policy{Version: "v4", Program: []byte("x")} }, nil},
		{"a session key comes", func(s *Snapshot) { s.SessionKey = make([]byte, SessionKeyBytes) }, nil},
		{"everything goes", func(s *Snapshot) { s.Targets, s.Consumers, s.Credentials = nil, nil, nil }, nil},
		{"the policy goes", func(s *Snapshot) { s.Policy = nil }, ErrNoPolicy},
		{"the session key goes", nil, ErrNoKey},
		{"the epoch changes", func(s *Snapshot) { s.Epoch = "e2" }, ErrEpoch},
		{"it is older", func(s *Snapshot) { s.Generation = 6 }, ErrOlder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := newSnapshot(t), newSnapshot(t)
			to.Generation = 9
			if tt.change == nil {
				from.SessionKey = make([]byte, SessionKeyBytes)
			} else {
				tt.change(to)
			}
			d, err := Diff(from, to)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error = %v, want %v", err, tt.wantErr)
			}
			if err != nil {
				return
			}
			v := newView(t, from)
			if err := v.Apply(d); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(dump(newView(t, to)), dump(v)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
