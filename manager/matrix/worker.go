package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"maunium.net/go/mautrix/id"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
)

// visit is the device with which the Manager joins rooms on a Worker's behalf
// while the Worker's own token stays as it is.
const visit = device + "-VISIT"

// admit gets a Worker into a room, with an account and, if Matrix is a target of
// the gateway, with a token that the gateway holds for it.
func (s *Service) admit(ctx context.Context, place id.RoomID, worker, membership string) error {
	p, err := s.sealing(ctx, worker)
	if err != nil {
		return err
	}
	if membership == "join" && p == nil {
		return nil
	}
	user, dev := s.userOf(worker), id.DeviceID(visit)
	if p != nil {
		dev = device
	}
	token, _, err := s.obtain(ctx, user, dev)
	if err != nil {
		return err
	}
	c, err := newClient(s.opt.Homeserver, user, token)
	if err != nil {
		return err
	}
	if p != nil {
		err = s.seal(ctx, p, token)
	} else {
		defer c.Logout(context.WithoutCancel(ctx)) // if it fails the token is forgotten all the same
	}
	if err != nil || membership == "join" {
		return err
	}
	for _, step := range []string{"unban", "invite"} {
		if step == "unban" && membership != "ban" || step == "invite" && membership == "invite" {
			continue
		}
		if err := s.fix(ctx, place, fix{do: step, user: user}); err != nil {
			return err
		}
	}
	_, err = c.JoinRoomByID(ctx, place)
	return err
}

// signOut ends all tokens of an account, if it is a Worker's that is gone.
func (s *Service) signOut(ctx context.Context, user id.UserID) error {
	worker, ok := strings.CutPrefix(user.Localpart(), s.opt.Prefix+"-")
	if !ok || user != s.userOf(worker) {
		return nil
	}
	if c, err := s.store.Consumer(ctx, worker); err == nil && c.State != snapshot.Revoked {
		return nil // it only left this room
	} else if err != nil && !errors.Is(err, manager.ErrNotFound) {
		return err
	}
	c, err := newClient(s.opt.Homeserver, "", "")
	if err != nil {
		return err
	}
	token, _, err := s.logIn(ctx, c, user, visit)
	if errors.Is(err, errNotOurs) { // or was never made
		return nil
	}
	if err != nil {
		return err
	}
	c.UserID, c.AccessToken = user, token
	_, err = c.LogoutAll(ctx)
	return err
}

// A sealing is a token of a Worker that the gateway has still to get.
type sealing struct {
	worker   string
	id       string // of the credential
	number   uint64 // version to seal it as; 1: it is new
	upstream snapshot.Upstream
	keys     []*seal.PublicKey
}

// sealing says what is to be sealed for a Worker; nil: the gateway has its token,
// or shall have none from here.
func (s *Service) sealing(ctx context.Context, worker string) (*sealing, error) {
	if s.opt.Target == "" || len(s.keys) == 0 {
		return nil, nil
	}
	t, err := s.store.Target(ctx, s.opt.Target)
	if errors.Is(err, manager.ErrNotFound) {
		return nil, nil // not there yet
	}
	if err != nil {
		return nil, err
	}
	c, err := s.store.Consumer(ctx, worker)
	if err != nil {
		return nil, err
	}
	p := &sealing{worker: worker, id: credentialID(worker), number: 1, upstream: t.Upstream, keys: s.keys}
	if own := c.Credentials[t.ID]; own != "" && own != p.id {
		return nil, nil // an administrator gave it another
	}
	cred, err := s.store.Credential(ctx, p.id)
	switch {
	case errors.Is(err, manager.ErrNotFound):
		return p, nil
	case err != nil:
		return nil, err
	case cred.Retired:
		return nil, nil // an administrator took it away
	}
	p.number = cred.Next
	if c.Credentials[t.ID] == p.id && len(cred.Versions) > 0 && p.done(cred.Versions[0]) {
		return nil, nil
	}
	return p, nil
}

// readKeys reads the public keys of all gateways, and reports whether Workers'
// tokens have to be looked at anew.
func (s *Service) readKeys(ctx context.Context) (changed bool, err error) {
	if s.opt.Target == "" {
		return false, nil
	}
	var keys []*seal.PublicKey
	is := func(a, b *seal.PublicKey) bool { return a.ID() == b.ID() }
	for k, err := range pages(func(p manager.Page) (manager.List[manager.SealingKey], error) { return s.store.SealingKeys(ctx, p) }) {
		if err != nil {
			return false, err
		}
		public, err := manager.SealingKeySpec{Public: k.Public}.Key()
		if err != nil {
			return false, err
		}
		keys = append(keys, public)
	}
	t, err := s.store.Target(ctx, s.opt.Target)
	if err != nil && !errors.Is(err, manager.ErrNotFound) {
		return false, err
	}
	changed = t.Generation != s.target || !slices.EqualFunc(keys, s.keys, is)
	s.keys, s.target = keys, t.Generation
	return changed, nil
}

// done reports whether v is sealed as p would be.
func (p *sealing) done(v manager.CredentialVersion) bool {
	for _, k := range p.keys {
		if !slices.Contains(v.Keys, k.ID()) {
			return false
		}
	}
	return reflect.DeepEqual(v.Upstream, p.upstream)
}

// credentialID names the credential that is a Worker's Matrix token.
func credentialID(worker string) string {
	const prefix = "matrix-"
	if len(prefix)+len(worker) > manager.MaxID {
		sum := sha256.Sum256([]byte(worker))
		return prefix + hex.EncodeToString(sum[:16])
	}
	return prefix + worker
}

func (s *Service) seal(ctx context.Context, p *sealing, token string) error {
	secret, err := seal.NewSecret([]byte(token))
	if err != nil {
		return err
	}
	defer secret.Zero()
	sealed, err := manager.SealTo(p.keys, p.id, p.number, p.upstream, secret)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	_, err = s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		var err error
		if p.number == 1 {
			_, err = tx.CreateCredential(ctx, manager.CredentialSpec{ID: p.id, Note: "Matrix token of " + p.worker, CredentialSealed: sealed})
		} else {
			_, err = tx.RotateCredential(ctx, p.id, 0, manager.CredentialRotation{Number: p.number, CredentialSealed: sealed})
		}
		if err != nil {
			return err
		}
		_, err = tx.SetOverride(ctx, p.worker, 0, s.opt.Target, p.id)
		return err
	})
	return err
}
