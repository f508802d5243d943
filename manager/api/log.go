package api

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/store"
	"keyward/policies"
)

var errNoKeeper = errors.New("this Manager proves no log")

type logFilter struct {
	After    string            `query:"after" pattern:"^[0-9]{1,18}$" maxLength:"18" doc:"The next of the page before; absent: from the start"`
	Limit    int               `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Longest page"`
	Kind     manager.EntryKind `query:"kind" enum:"decision,outcome,cut,action,gap,dropped" doc:"Only of this kind"`
	ID       string            `query:"id" maxLength:"64" doc:"Only of this decision or API request"`
	Consumer string            `query:"consumer" maxLength:"64" doc:"Only about this consumer"`
	Target   string            `query:"target" maxLength:"64" doc:"Only of requests to this target"`
	Name     string            `query:"name" maxLength:"1024" doc:"Only with this tool, prompt, resource or path"`
	Verdict  string            `query:"verdict" enum:"allow,deny,ask" doc:"Only so decided"`
	Reason   string            `query:"reason" maxLength:"64" doc:"Only with this reason code"`
	Rule     string            `query:"rule" maxLength:"1024" doc:"Only decided by this rule, as file:row"`
	Since    time.Time         `query:"since" doc:"Only stored at or after this time"`
	Until    time.Time         `query:"until" doc:"Only stored before this time"`
}

type checkpointFilter struct {
	After string `query:"after" pattern:"^[0-9]{1,18}$" maxLength:"18" doc:"The next of the page before; absent: from the start"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Longest page"`
}

type logPart struct {
	Size uint64 `query:"size" minimum:"1" doc:"What the first part says in Keyward-Log-Size; absent: for the first part"`
	From uint64 `query:"from" doc:"Keyward-Log-Next of the part before"`
}

type logLines struct {
	ContentType string `header:"Content-Type"`
	Size        uint64 `header:"Keyward-Log-Size" doc:"Entries of the whole export"`
	Next        uint64 `header:"Keyward-Log-Next" doc:"From of the next part; the size: there is none"`
	Body        []byte
}

type entryProof struct {
	Position uint64 `query:"position" doc:"Of the entry"`
	Size     uint64 `query:"size" required:"true" minimum:"1" doc:"Of the checkpoint"`
}

type growthProof struct {
	Old  uint64 `query:"old" required:"true" minimum:"1" doc:"Size of the older checkpoint"`
	Size uint64 `query:"size" required:"true" minimum:"1" doc:"Size of the newer checkpoint"`
}

type dropLog struct {
	Mutation
	Body struct {
		Before uint64 `json:"before" minimum:"1" doc:"Position of the first entry that keeps its text"`
	}
}

type proved struct{ Body manager.Proof }

type dropped struct {
	Before uint64 `json:"before"`
}

func (a *API) registerLog() {
	a.huma.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[policies.JSON](), reflect.TypeFor[any]())
	read(a, operation("query-log", "GET /v1/log", "List entries of the audit log, oldest first", manager.Auditor), a.queryLog)
	read(a, operation("list-checkpoints", "GET /v1/log/checkpoints", "List signed checkpoints of the audit log", manager.Auditor), a.checkpoints)
	read(a, exportOperation(), a.exportLog)
	read(a, operation("prove-entry", "GET /v1/log/proof", "Prove that an entry is in a checkpoint", manager.Auditor, 501),
		func(ctx context.Context, in *entryProof) (*proved, error) {
			return a.prove(ctx, in.Size, func(k *audit.Keeper) ([]tlog.Hash, error) { return k.ProveEntry(ctx, in.Size, in.Position) })
		})
	read(a, operation("prove-growth", "GET /v1/log/growth", "Prove that one checkpoint continues another", manager.Auditor, 501),
		func(ctx context.Context, in *growthProof) (*proved, error) {
			return a.prove(ctx, in.Size, func(k *audit.Keeper) ([]tlog.Hash, error) { return k.ProveGrowth(ctx, in.Size, in.Old) })
		})
	write(a, operation("drop-log", "POST /v1/log/drop", "Drop the text of old records; what is left can still be proved", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *dropLog) (*changed[dropped], error) {
			return &changed[dropped]{Status: 200, Body: dropped{in.Body.Before}}, tx.DropBodies(ctx, in.Body.Before)
		})
}

// linesType is the media type of an export.
const linesType = "application/x-ndjson"

func exportOperation() huma.Operation {
	op := operation("export-log", "GET /v1/log/export", "Export the audit log, part by part, as `keyward audit verify` reads it", manager.Auditor, 501)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "A part: one JSON object a line",
		Content:     map[string]*huma.MediaType{linesType: {}},
	}}
	return op
}

func (a *API) queryLog(ctx context.Context, in *logFilter) (*listed[manager.LogEntry], error) {
	return listOf(a.store.QueryLog(ctx, store.LogFilter{
		Kind: in.Kind, ID: in.ID, Consumer: in.Consumer, Target: in.Target, Name: in.Name, Verdict: in.Verdict,
		Reason: in.Reason, Rule: in.Rule, Since: in.Since, Until: in.Until,
	}, manager.Page{After: in.After, Limit: in.Limit}))
}

func (a *API) checkpoints(ctx context.Context, in *checkpointFilter) (*listed[manager.Checkpoint], error) {
	after, err := strconv.ParseUint("0"+in.After, 10, 64)
	if err != nil {
		return nil, err
	}
	list, err := a.store.Checkpoints(ctx, after, in.Limit)
	if err != nil {
		return nil, err
	}
	l := manager.List[manager.Checkpoint]{Items: append([]manager.Checkpoint{}, list...)}
	if len(list) == in.Limit {
		l.After = strconv.FormatUint(list[len(list)-1].Size, 10)
	}
	return listOf(l, nil)
}

func (a *API) exportLog(ctx context.Context, in *logPart) (*logLines, error) {
	if a.keeper == nil {
		return nil, errNoKeeper
	}
	out := &logLines{ContentType: linesType, Size: in.Size}
	var err error
	if in.Size == 0 {
		out.Body, out.Size, err = a.keeper.ExportHead(ctx)
	} else {
		out.Body, out.Next, err = a.keeper.ExportPart(ctx, in.Size, in.From)
	}
	return out, err
}

func (a *API) prove(ctx context.Context, size uint64, prove func(*audit.Keeper) ([]tlog.Hash, error)) (*proved, error) {
	if a.keeper == nil {
		return nil, errNoKeeper
	}
	hashes, err := prove(a.keeper)
	if err != nil {
		return nil, err
	}
	root, err := a.keeper.Root(ctx, size)
	p := manager.Proof{Size: size, Root: root.String(), Hashes: make([]string, len(hashes))}
	for i, h := range hashes {
		p.Hashes[i] = h.String()
	}
	return &proved{p}, err
}
