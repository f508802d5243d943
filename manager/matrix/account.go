package matrix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"
	"maunium.net/go/mautrix/synapseadmin"
)

const (
	requestTimeout = 90 * time.Second // a sync stays open for half a minute
	maxResponse    = 16 << 20         // bytes
	device         = "KEYWARD"
)

// Registration is how accounts are made. One of its fields is set.
type Registration struct {
	Secret string // the homeserver's shared secret (Synapse, Dendrite)
	Token  string // a registration token (Tuwunel, Synapse)
}

var errNotOurs = errors.New("the account is there already, and is not this Manager's")

// newClient returns a client of an account; empty: of none.
func newClient(url string, user id.UserID, token string) (*mautrix.Client, error) {
	c, err := mautrix.NewClient(url, user, token)
	if err != nil {
		return nil, fmt.Errorf("homeserver: %w", err)
	}
	c.Client = &http.Client{
		Timeout: requestTimeout,
		// A token must not follow a redirect to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.ResponseSizeLimit = maxResponse
	return c, nil
}

// signIn signs the Manager in, making its account if there is none.
func (s *Service) signIn(ctx context.Context) error {
	token, dev, err := s.obtain(ctx, s.session.User, cmpDevice(s.session.Device))
	if err != nil {
		return fmt.Errorf("sign in as %s: %w", s.session.User, err)
	}
	s.session.Token, s.session.Device = token, dev
	if err := s.session.save(); err != nil {
		return err
	}
	c, err := newClient(s.opt.Homeserver, s.session.User, token)
	if err != nil {
		return err
	}
	s.client.Store(c)
	return nil
}

func cmpDevice(d id.DeviceID) id.DeviceID {
	if d == "" {
		return device
	}
	return d
}

// obtain gets a token of an account of ours: it makes the account, or, where it
// is there, signs in to it.
func (s *Service) obtain(ctx context.Context, user id.UserID, dev id.DeviceID) (string, id.DeviceID, error) {
	c, err := newClient(s.opt.Homeserver, "", "")
	if err != nil {
		return "", "", err
	}
	r, err := s.register(ctx, c, user.Localpart(), s.session.password(user))
	switch {
	case errors.Is(err, mautrix.MUserInUse):
		return s.logIn(ctx, c, user, dev)
	case err != nil:
		return "", "", err
	case r.UserID != user:
		return "", "", fmt.Errorf("the homeserver calls the account %.255q, not %q", r.UserID, user)
	}
	return r.AccessToken, r.DeviceID, nil
}

// logIn signs in to an account of ours.
func (s *Service) logIn(ctx context.Context, c *mautrix.Client, user id.UserID, dev id.DeviceID) (string, id.DeviceID, error) {
	l, err := c.Login(ctx, &mautrix.ReqLogin{
		Type: mautrix.AuthTypePassword, Identifier: mautrix.UserIdentifier{Type: mautrix.IdentifierTypeUser, User: string(user)},
		Password: s.session.password(user), DeviceID: dev, InitialDeviceDisplayName: "Keyward",
	})
	if errors.Is(err, mautrix.MForbidden) {
		return "", "", errNotOurs
	}
	if err != nil {
		return "", "", err
	}
	return l.AccessToken, l.DeviceID, nil
}

func (s *Service) register(ctx context.Context, c *mautrix.Client, name, password string) (*mautrix.RespRegister, error) {
	if s.opt.Registration.Secret != "" {
		admin := synapseadmin.Client{Client: c}
		return admin.SharedSecretRegister(ctx, s.opt.Registration.Secret, synapseadmin.ReqSharedSecretRegister{Username: name, Password: password})
	}
	return registerWithToken(ctx, c, name, password, s.opt.Registration.Token)
}

// stageToken is the stage of user-interactive authentication that takes a
// registration token (Client-Server API, "Token-authenticated registration").
const stageToken = "m.login.registration_token"

type tokenAuth struct {
	Type    string `json:"type"`
	Token   string `json:"token,omitempty"`
	Session string `json:"session,omitempty"`
}

// registerWithToken makes an account with a registration token. Some homeservers
// want the dummy stage after it.
func registerWithToken(ctx context.Context, c *mautrix.Client, name, password, token string) (*mautrix.RespRegister, error) {
	req := &mautrix.ReqRegister[any]{Username: name, Password: password, DeviceID: device, InitialDeviceDisplayName: "Keyward"}
	r, uia, err := c.Register(ctx, req)
	for _, stage := range []tokenAuth{{Type: stageToken, Token: token}, {Type: string(mautrix.AuthTypeDummy)}} {
		if err != nil || uia == nil {
			break
		}
		stage.Session = uia.Session
		req.Auth = stage
		r, uia, err = c.Register(ctx, req)
	}
	switch {
	case err != nil:
		return nil, err
	case uia != nil || r == nil:
		return nil, errors.New("the homeserver does not take the registration token")
	}
	return r, nil
}
