// Package files lets consumers handle files in an object store without a key to
// it: they ask here, and get links that do one thing to one object for a few
// minutes. It is an HTTP service behind the gateway, and so is the object store,
// each as a target of its own.
//
// # Who may what
//
// Grants on the target that is the object store say it, and nothing else does: a
// consumer may read below the paths for which a grant has GET, and write, delete
// and send in parts where one has PUT. The gateway holds each use of a link to the
// same grants, so a link in the wrong hands opens nothing.
//
// Who asks is what the gateway says. It is believed from whoever has the key that
// key-swap puts in, and from nobody else.
package files

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/files/wire"
	"keyward/manager/store"
)

// Bounds of files.
const (
	DefaultMaxBytes = 5 << 30
	MaxMaxBytes     = wire.MaxParts * wire.PartSize
)

// minKey is the least length of the key, in bytes.
const minKey = 20

// Objects is where the files are. Errors wrap those of package manager.
type Objects interface {
	Bucket() string
	Prepare(ctx context.Context) error
	List(ctx context.Context, prefix, after string, limit int) (wire.Listing, error)
	Stat(ctx context.Context, name string) (wire.Object, error)
	Delete(ctx context.Context, name, etag string) error
	Links
	Uploads
}

// Links signs for what is below a prefix.
type Links interface {
	SignGet(ctx context.Context, prefix, name, etag string) (wire.Link, error)
	SignPut(ctx context.Context, prefix, name string, p wire.Put) (wire.Link, error)
	SignPart(ctx context.Context, prefix, name, upload string, number int, p wire.Put) (wire.Link, error)
}

// Uploads handles objects that are sent in parts.
type Uploads interface {
	StartUpload(ctx context.Context, name string) (id string, err error)
	Parts(ctx context.Context, name, upload string) ([]wire.Part, error)
	Complete(ctx context.Context, name, upload string, c wire.Complete) (wire.Object, error)
	Abort(ctx context.Context, name, upload string) error
}

// Options of a service. Key must be set.
type Options struct {
	Key      string // that the gateway's key-swap puts in as a bearer token
	Target   string // ID of the target that is the object store; empty: objects
	Service  string // ID of the target that is this service; empty: files
	MaxBytes int64  // of one object; 0: DefaultMaxBytes
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: a registry of its own
	Now      func() time.Time      // nil: time.Now
}

// A Service answers requests for links. It is an [http.Handler].
type Service struct {
	store    *store.Store
	objects  Objects
	opt      Options
	key      [sha256.Size]byte
	requests *prometheus.CounterVec
}

// New returns a service that does not talk to the object store yet.
func New(s *store.Store, o Objects, opt Options) (*Service, error) {
	if len(opt.Key) < minKey {
		return nil, errors.New("files: the key is too short to be one")
	}
	opt.Target, opt.Service = cmp.Or(opt.Target, "objects"), cmp.Or(opt.Service, "files")
	opt.MaxBytes, opt.Log = cmp.Or(opt.MaxBytes, DefaultMaxBytes), cmp.Or(opt.Log, slog.Default())
	if opt.MaxBytes < 0 || opt.MaxBytes > MaxMaxBytes {
		return nil, errors.New("files: the largest object is out of bounds")
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Metrics == nil {
		opt.Metrics = prometheus.NewRegistry()
	}
	f := &Service{store: s, objects: o, opt: opt, key: sha256.Sum256([]byte(opt.Key))}
	f.opt.Key = ""
	f.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_files_requests_total", Help: "Requests to the files service, by what was asked and the status of the answer.",
	}, []string{"operation", "status"})
	return f, opt.Metrics.Register(f.requests)
}

// Targets are the IDs of both targets. A nil Service has none.
func (s *Service) Targets() []string {
	if s == nil {
		return nil
	}
	return []string{s.opt.Service, s.opt.Target}
}

// isKey reports whether a caller has the key, in a time that does not tell how much
// of it is right.
func (s *Service) isKey(bearer string) bool {
	sum := sha256.Sum256([]byte(bearer))
	return subtle.ConstantTimeCompare(sum[:], s.key[:]) == 1
}

// prepareEvery is how often a store that was not ready is tried again.
const prepareEvery = 5 * time.Second

// Run makes the bucket ready, once the object store answers.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(prepareEvery)
	defer tick.Stop()
	for {
		err := s.objects.Prepare(ctx)
		if err == nil {
			s.opt.Log.Info("files: the bucket is ready", slog.String("bucket", s.objects.Bucket()))
			return
		}
		if ctx.Err() == nil {
			s.opt.Log.Warn("files: the bucket is not ready", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

var _ http.Handler = (*Service)(nil)
