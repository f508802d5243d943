package manager

import "time"

// A Kind is the kind of an object, as audit events and errors name it.
type Kind string

// The kinds.
const (
	KindConsumer   Kind = "consumer"
	KindToken      Kind = "token"
	KindTarget     Kind = "target"
	KindCredential Kind = "credential"
	KindGrant      Kind = "grant"
	KindPolicy     Kind = "policy"
	KindGateway    Kind = "gateway"
	KindSealingKey Kind = "sealing-key"
	KindAdminToken Kind = "admin-token"
	KindStore      Kind = "store"
	KindWorker     Kind = "worker"
	KindRoom       Kind = "room"
	KindLog        Kind = "log"
	KindFile       Kind = "file" // of an object store: no object of the Manager, and in no event
)

// Meta is what every object has.
type Meta struct {
	ID         string    `json:"id" readOnly:"true" doc:"Stable name; never used again once deleted"`
	Version    uint64    `json:"version" readOnly:"true" doc:"Grows with every change to this object; its ETag"`
	Generation uint64    `json:"generation" readOnly:"true" doc:"Generation of the last change to this object"`
	Created    time.Time `json:"created" readOnly:"true"`
	Updated    time.Time `json:"updated" readOnly:"true"`
}

// Limits of a page.
const (
	DefaultPage = 100
	MaxPage     = 500
)

// A Page says which part of a list is wanted.
type Page struct {
	After string // ID of the last object of the page before; empty: from the start
	Limit int    // 0: DefaultPage
}

// A List is one page of objects.
type List[T any] struct {
	Items []T
	After string // Page.After of the next page; empty: this was the last
}
