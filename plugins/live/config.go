package live

import (
	"crypto/ed25519"
	"strconv"
	"time"

	"keyward/plugins/changes"
	"keyward/plugins/internal/strict"
	"keyward/plugins/snapshot"
	"keyward/policies/engine"
)

// EnvToken is the name of the environment variable with the gateway token. It
// authenticates the gateway to its Manager, and shared data among the VMs of
// the gateway; it is never part of a configuration.
const EnvToken = "KEYWARD_GATEWAY_TOKEN"

// DefaultMaxStale is how long a gateway goes on without contact.
const DefaultMaxStale = 15 * time.Minute

const maxStaleLimit = 7 * 24 * time.Hour

// A Config is the member "manager" of a plugin's configuration.
type Config struct {
	Cluster   string            // the gateway's name for the Manager's listener for gateways
	Authority string            // of requests to it
	Key       ed25519.PublicKey // that answers are signed with
	MaxStale  time.Duration     // without contact, after which everything is denied
}

// Encode is the form that [ReadConfig] reads of the member.
func (c *Config) Encode() []byte {
	b := []byte(`{"cluster":`)
	b = engine.AppendJSONString(b, c.Cluster)
	b = append(b, `,"authority":`...)
	b = engine.AppendJSONString(b, c.Authority)
	b = append(b, `,"key":`...)
	b = engine.AppendJSONString(b, changes.FormatPublicKey(c.Key))
	if c.MaxStale != 0 {
		b = append(b, `,"max_stale":`...)
		b = strconv.AppendInt(b, int64(c.MaxStale/time.Second), 10)
	}
	return append(b, '}')
}

// ReadConfig reads a plugin's configuration: an object with "snapshot",
// "manager", or both. manager is nil without that member. With both, the
// snapshot is in force until the Manager was first reached.
func ReadConfig(b []byte) (s *snapshot.Snapshot, manager *Config, err error) {
	s, err = snapshot.DecodeConfig(b, func(r *strict.Reader, name string) error {
		if name != "manager" {
			return r.Unknown()
		}
		manager = &Config{MaxStale: DefaultMaxStale}
		return manager.read(r)
	})
	return s, manager, err
}

func (c *Config) read(r *strict.Reader) error {
	err := r.Object(func(name string) error {
		switch name {
		case "cluster":
			return r.String(&c.Cluster, snapshot.MaxRouteBytes)
		case "authority":
			return r.String(&c.Authority, snapshot.MaxHostBytes+len(":65535"))
		case "key":
			var text string
			if err := r.String(&text, snapshot.MaxTextBytes); err != nil {
				return err
			}
			key, err := changes.PublicKey(text)
			if err != nil {
				return r.Fail(err.Error())
			}
			c.Key = key
			return nil
		case "max_stale":
			var seconds int64
			if err := r.Int64(&seconds); err != nil {
				return err
			}
			if seconds < 1 || seconds > int64(maxStaleLimit/time.Second) {
				return r.Fail("want seconds, 1 to " + strconv.FormatInt(int64(maxStaleLimit/time.Second), 10))
			}
			c.MaxStale = time.Duration(seconds) * time.Second
			return nil
		default:
			return r.Unknown()
		}
	})
	if err == nil && (c.Cluster == "" || c.Authority == "" || c.Key == nil) {
		return r.Fail(`want "cluster", "authority" and "key"`)
	}
	return err
}
