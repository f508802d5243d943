package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// name is what a Worker's Pod is called. An id that is no label of RFC 1123
// loses what one can't have and gets a digest behind a dot, which no other name
// has.
func (k *Kubernetes) name(worker string) string {
	prefix := k.opt.Name + "-worker-"
	if dnsLabel.MatchString(worker) {
		return prefix + worker
	}
	sum := sha256.Sum256([]byte(worker))
	plain := strings.NewReplacer("_", "-", ".", "-").Replace(worker)
	return prefix + plain + "." + hex.EncodeToString(sum[:8])
}

// What a Worker's two Secrets are called. The parts end in a dot's label, so that
// no other Worker's name is one of them.
func (k *Kubernetes) envSecret(worker string) string   { return k.name(worker) + ".env" }
func (k *Kubernetes) filesSecret(worker string) string { return k.name(worker) + ".files" }

// policyName is what the one policy of this Manager's Workers is called.
func (k *Kubernetes) policyName() string { return k.opt.Name + "-workers" }
