package api

import (
	"context"
	"net"

	"github.com/danielgtaylor/huma/v2"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/seal"
)

type addSealingKey struct {
	Mutation
	Body manager.SealingKeySpec
}

func (a *API) registerSealingKeys() {
	const path = "/v1/sealing-keys"
	write(a, creation("add-sealing-key", "POST "+path, "Make the public key of gateways known, so that credentials are sealed to it", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *addSealingKey) (*changed[manager.SealingKey], error) {
			k, err := tx.AddSealingKey(ctx, in.Body)
			return created(k, k.Meta, path), err
		})
	read(a, operation("list-sealing-keys", "GET "+path, "List the public keys of gateways", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.SealingKey], error) {
			return listOf(a.store.SealingKeys(ctx, in.page()))
		})
	read(a, operation("get-sealing-key", "GET "+path+"/{id}", "Get a public key of gateways", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.SealingKey], error) {
			k, err := a.store.SealingKey(ctx, in.ID)
			return &object[manager.SealingKey]{etag(k.Meta), k}, err
		})
	write(a, operation("remove-sealing-key", "DELETE "+path+"/{id}", "Seal nothing more to a key; not while a credential is sealed to it alone", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.RemoveSealingKey(ctx, in.ID, version)
		})
}

// ClearText is how a key can come in clear, in place of sealed. It is exported
// because huma reads embedded structs only then.
type ClearText struct {
	Secret string `json:"secret,omitempty" minLength:"8" maxLength:"4096" writeOnly:"true" doc:"The key in clear, in place of sealed: over TLS or from the Manager's own machine. It is sealed to every known gateway key, and not kept"`
}

// A Transport tells how a request came.
type Transport struct{ private bool }

// Resolve notes whether anybody on the way can have read the request.
func (t *Transport) Resolve(ctx huma.Context) []error {
	host, _, err := net.SplitHostPort(ctx.RemoteAddr())
	ip := net.ParseIP(host)
	t.private = ctx.TLS() != nil || err == nil && ip != nil && ip.IsLoopback()
	return nil
}

var errClear = &manager.FieldError{Field: "secret", Why: "was sent without TLS, and others may have read it: replace that key, and send it sealed or over TLS"}

// sealed returns what was sent, with a key in clear sealed.
func (a *API) sealed(ctx context.Context, t Transport, clearText ClearText, in manager.CredentialSealed, id string, number uint64) (manager.CredentialSealed, error) {
	switch {
	case clearText.Secret == "":
		return in, nil
	case in.Sealed != nil:
		return in, &manager.FieldError{Field: "secret", Why: "must not come with sealed"}
	case !t.private:
		return in, errClear
	}
	list, err := a.store.SealingKeys(ctx, manager.Page{Limit: manager.MaxPage})
	if err != nil {
		return in, err
	}
	if len(list.Items) == 0 {
		return in, &manager.Error{Kind: manager.KindSealingKey, Err: manager.ErrState, Why: "none is known that the key could be sealed to"}
	}
	keys := make([]*seal.PublicKey, len(list.Items))
	for i, k := range list.Items {
		if keys[i], err = seal.ParsePublic(k.Public); err != nil {
			return in, err
		}
	}
	b := []byte(clearText.Secret)
	defer clear(b)
	secret, err := seal.NewSecret(b)
	if err != nil {
		return in, &manager.FieldError{Field: "secret", Why: err.Error()}
	}
	return manager.SealTo(keys, id, number, in.Upstream, secret)
}
