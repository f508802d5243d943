//go:build !lean

package engine

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
)

func cryptoBuiltins() []builtin {
	return []builtin{
		{"hex.encode", 1, func(vm *VM, a []Value) (Value, error) { return vm.encode("hex.encode", a, hex.EncodeToString) }},
		{"hex.decode", 1, func(vm *VM, a []Value) (Value, error) { return vm.decode("hex.decode", a, hex.DecodeString) }},
		{"crypto.md5", 1, digest("crypto.md5", md5.New)},
		{"crypto.sha1", 1, digest("crypto.sha1", sha1.New)},
		{"crypto.sha256", 1, digest("crypto.sha256", sha256.New)},
		{"crypto.hmac.md5", 2, keyed("crypto.hmac.md5", md5.New)},
		{"crypto.hmac.sha1", 2, keyed("crypto.hmac.sha1", sha1.New)},
		{"crypto.hmac.sha256", 2, keyed("crypto.hmac.sha256", sha256.New)},
		{"crypto.hmac.sha512", 2, keyed("crypto.hmac.sha512", sha512.New)},
		{"crypto.hmac.equal", 2, func(vm *VM, a []Value) (Value, error) {
			x, y, err := strOperands("crypto.hmac.equal", a)
			if err != nil {
				return Value{}, err
			}
			return Bool(hmac.Equal([]byte(x), []byte(y))), vm.work(len(x))
		}},
	}
}

func digest(name string, newHash func() hash.Hash) func(*VM, []Value) (Value, error) {
	return func(vm *VM, a []Value) (Value, error) {
		s, err := strOperand(name, a, 0)
		if err != nil {
			return Value{}, err
		}
		return vm.sum(newHash(), s)
	}
}

func keyed(name string, newHash func() hash.Hash) func(*VM, []Value) (Value, error) {
	return func(vm *VM, a []Value) (Value, error) {
		s, key, err := strOperands(name, a)
		if err != nil {
			return Value{}, err
		}
		return vm.sum(hmac.New(newHash, []byte(key)), s)
	}
}

func (vm *VM) sum(h hash.Hash, s string) (Value, error) {
	if !vm.charge(50 + len(s)/4) {
		return Value{}, errLimits
	}
	h.Write([]byte(s))
	return vm.text(hex.EncodeToString(h.Sum(nil)))
}
