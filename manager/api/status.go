package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type statusAnswer struct{ Body manager.Status }

type eventFilter struct {
	After  string       `query:"after" pattern:"^[0-9]{1,18}$" maxLength:"64" doc:"The next of the page before; absent: from the start"`
	Limit  int          `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Longest page"`
	Kind   manager.Kind `query:"kind" enum:"consumer,token,target,credential,grant,policy,gateway,sealing-key,admin-token,store,room" doc:"Only of this kind of object"`
	Object string       `query:"object" pattern:"^[a-z0-9]([a-z0-9._:-]{0,68}[a-z0-9])?$" maxLength:"70" doc:"Only of this object"`
	Actor  string       `query:"actor" pattern:"^([a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?|@[!-~]+|oidc:[!-~]+)$" maxLength:"255" doc:"Only by this admin token, this user of Matrix, or the holder of ID tokens with this subject after oidc:"`
}

func (a *API) registerStatus() {
	read(a, operation("get-status", "GET /v1/status", "State of the Manager as a whole", manager.Auditor),
		func(ctx context.Context, _ *struct{}) (*statusAnswer, error) {
			st, err := a.store.Status(ctx)
			st.GatewayKey = a.gatewayKey
			return &statusAnswer{st}, err
		})
	read(a, operation("list-events", "GET /v1/events", "List audit events, oldest first", manager.Auditor),
		func(ctx context.Context, in *eventFilter) (*listed[manager.Event], error) {
			return listOf(a.store.Events(ctx, store.EventFilter{Kind: in.Kind, Object: in.Object, Actor: in.Actor},
				manager.Page{After: in.After, Limit: in.Limit}))
		})
}
