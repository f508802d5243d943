//go:build !lean

package engine

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"strings"
)

// constraints are what io.jwt.decode_verify demands of a token; "" demands
// nothing.
type constraints struct {
	keys          []publicKey
	hasKeys       bool
	secret        string
	alg, iss, aud string
	time          float64 // nanoseconds since 1970
}

func (vm *VM) constraintsOf(name string, o Value) (constraints, error) {
	c := constraints{time: float64(vm.now)}
	for key, v := range o.All() {
		option, _ := key.Str()
		text, isString := v.Str()
		f, isNumber := v.Float()
		switch {
		case option == "cert" && isString:
			var err error
			if c.keys, err = vm.publicKeys(name, text); err != nil {
				return constraints{}, err
			}
			c.hasKeys = true
		case option == "secret" && isString:
			c.secret = text
		case option == "alg" && isString:
			c.alg = text
		case option == "iss" && isString:
			c.iss = text
		case option == "aud" && isString:
			c.aud = text
		case option == "time" && isNumber && f >= 0:
			c.time = f
		default:
			return constraints{}, failing(name, "a constraint is unknown or has the wrong type")
		}
	}
	if c.hasKeys == (c.secret != "") {
		return constraints{}, failing(name, "exactly one of cert and secret must be given")
	}
	return c, nil
}

// decodeVerify returns [true, header, payload] of a token that keeps the
// constraints, and [false, {}, {}] of one that does not.
func decodeVerify(vm *VM, a []Value) (Value, error) {
	const name = "io.jwt.decode_verify"
	if a[1].Kind() != KindObject {
		return Value{}, wrongType(name, 2, "object")
	}
	c, err := vm.constraintsOf(name, a[1]) // what is wrong with them is told first
	if err != nil {
		return Value{}, err
	}
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	unverified := newArray([]Value{Bool(false), emptyObject, emptyObject})
	var head Value
	for nested := true; nested; {
		t, err := vm.splitToken(name, s)
		if err != nil {
			return Value{}, err
		}
		if head, err = vm.tokenHeader(name, t); err != nil {
			return Value{}, err
		}
		h, err := headerOf(name, head)
		if err != nil {
			return Value{}, err
		}
		if h.alg == "" || !understood(head) || c.alg != "" && c.alg != h.alg {
			return unverified, nil
		}
		signature, err := decodeBase64URL(t.signature)
		if err != nil {
			return Value{}, failing(name, "the JWT signature has an invalid encoding")
		}
		switch ok, err := c.verifies(vm, h, t.signed(), signature); {
		case err != nil:
			return Value{}, err
		case !ok:
			return unverified, nil
		}
		b, err := decodeBase64URL(t.payload)
		if err != nil {
			return Value{}, failing(name, "the JWT payload has an invalid encoding")
		}
		s = string(b)
		nested = strings.EqualFold(h.cty, "JWT")
	}
	payload, err := vm.tokenPart(name, s)
	if err != nil {
		return Value{}, err
	}
	switch ok, err := c.claimsHold(name, payload); {
	case err != nil:
		return Value{}, err
	case !ok:
		return unverified, nil
	}
	return newArray([]Value{Bool(true), head, payload}), nil
}

// claimsHold checks the registered claims (RFC 7519 section 4.1).
func (c *constraints) claimsHold(name string, payload Value) (bool, error) {
	if c.iss != "" {
		iss, ok := payload.Get("iss")
		s, isString := iss.Str()
		if ok && !isString {
			return false, failing(name, "iss must be a string")
		}
		if s != c.iss {
			return false, nil
		}
	}
	if !c.audience(payload) {
		return false, nil
	}
	now := Float(c.time / 1e9)
	if exp, ok := payload.Get("exp"); ok {
		if exp.Kind() != KindNumber {
			return false, failing(name, "exp must be a number")
		}
		if Compare(now, exp) >= 0 {
			return false, nil
		}
	}
	if nbf, ok := payload.Get("nbf"); ok {
		if nbf.Kind() != KindNumber {
			return false, failing(name, "nbf must be a number")
		}
		if Compare(now, nbf) < 0 {
			return false, nil
		}
	}
	return true, nil
}

func (c *constraints) audience(payload Value) bool {
	aud, ok := payload.Get("aud")
	if !ok {
		return c.aud == ""
	}
	if s, isString := aud.Str(); isString {
		return s == c.aud
	}
	for e := range aud.Elems() {
		if s, isString := e.Str(); isString && s == c.aud {
			return true
		}
	}
	return false
}

// verifies reports whether one of the keys, or the secret, made the signature
// with the token's own algorithm. A key is used only for its kind of algorithm.
func (c *constraints) verifies(vm *VM, h header, text, signature []byte) (bool, error) {
	if !c.hasKeys {
		return algorithmVerifies(h.alg, []byte(c.secret), text, signature), nil
	}
	return vm.anyKey(c.keys, h, func(k publicKey) bool { return algorithmVerifies(h.alg, k.key, text, signature) })
}

// anyKey reports whether verifies is true for the key that the token names or,
// when none has that name, for any key that has no other algorithm.
func (vm *VM) anyKey(keys []publicKey, h header, verifies func(publicKey) bool) (bool, error) {
	for _, k := range keys {
		if h.kid != "" && k.kid == h.kid {
			return verifies(k), vm.verifying()
		}
	}
	for _, k := range keys {
		if k.alg != "" && k.alg != h.alg {
			continue
		}
		if err := vm.verifying(); err != nil {
			return false, err
		}
		if verifies(k) {
			return true, nil
		}
	}
	return false, nil
}

// verifying charges for one signature.
func (vm *VM) verifying() error {
	if !vm.charge(2000) {
		return errLimits
	}
	return nil
}

// algorithmVerifies reports whether signature is that of text under a JWS
// algorithm (RFC 7518 section 3.1); no other algorithm verifies anything.
func algorithmVerifies(alg string, key any, text, signature []byte) bool {
	if alg == "EdDSA" {
		return ed25519Verifies(key, 0, text, signature)
	}
	if len(alg) != 5 {
		return false
	}
	hash, ok := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	if !ok {
		return false
	}
	switch alg[:2] {
	case "HS":
		secret, isSecret := key.([]byte)
		return isSecret && hmac.Equal(signature, mac(hash, secret, text))
	case "RS":
		return rsaVerifies(key, hash, text, signature)
	case "PS":
		return pssVerifiesWith(key, hash, text, signature, &rsa.PSSOptions{Hash: hash, SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "ES":
		return ecdsaFits(key, signature) && ecdsaVerifies(key, hash, text, signature)
	}
	return false
}
