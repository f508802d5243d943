package wire

import "time"

// Path is where the service is, below the gateway and at its own listener.
const Path = "/files"

// Queries of the service's paths.
const (
	QueryUpload = "upload" // id of a multipart upload; without a value: begin one
	QueryPart   = "part"   // number of a part, from 1
	QueryAfter  = "after"  // name that a page of a list begins behind
	QueryLimit  = "limit"  // of a page, 1 to MaxPage
)

// MaxPage is the longest page of a list.
const MaxPage = 1000

// An Access is a prefix that a consumer may read, write, or both.
type Access struct {
	Prefix string `json:"prefix"` // without a slash at its end; empty: the whole bucket
	Read   bool   `json:"read"`
	Write  bool   `json:"write"`
}

// A Share is what the service tells a consumer of itself.
type Share struct {
	Access   []Access `json:"access"`
	MaxBytes int64    `json:"max_bytes"` // of one object
}

// An Object is one version of a file.
type Object struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	ETag     string    `json:"etag"` // without quotes
	Modified time.Time `json:"modified"`
}

// A Listing is a page of the objects below a prefix, in the order of their names.
type Listing struct {
	Objects []Object `json:"objects"`
	Next    string   `json:"next,omitempty"` // after of the next page; empty: this was the last
}

// A Link lets whoever holds it do one thing to one object, until it ends. It is
// as good as a password for that.
type Link struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`     // path and query below the gateway
	Headers map[string]string `json:"headers"` // to be sent as they are: they are signed
	Expires time.Time         `json:"expires"`
}

// A Found is an object with the link to its content.
type Found struct {
	Object Object `json:"object"`
	Link   Link   `json:"link"`
}

// A Condition says what must be there for a change. Exactly one is set.
type Condition struct {
	Create  bool   `json:"create,omitempty"`   // nothing
	IfMatch string `json:"if_match,omitempty"` // the object with this ETag
}

// A Put is what is to be written.
type Put struct {
	Size int64  `json:"size"`
	MD5  string `json:"md5,omitempty"` // of the content, in hex; empty: any content of that size
	Condition
}

// An Upload is an object that is sent in parts, which nobody sees yet.
type Upload struct {
	ID       string `json:"id"`
	PartSize int64  `json:"part_size"`
}

// A NewUpload says how large it will be.
type NewUpload struct {
	Size int64 `json:"size"`
}

// A Part is a part that has arrived.
type Part struct {
	Number int    `json:"number"` // from 1
	ETag   string `json:"etag"`
	Size   int64  `json:"size,omitempty"`
}

// PartList are the parts that have arrived.
type PartList struct {
	Parts []Part `json:"parts"`
}

// A Complete puts an upload's parts together.
type Complete struct {
	Parts []Part `json:"parts"`
	Condition
}

// A Problem is an error; RFC 9457.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Reason and Decision are a gateway's.
	Reason   string `json:"reason,omitempty"`
	Decision string `json:"decision,omitempty"`
}
