//go:build !lean

package engine

import (
	"crypto"
	"crypto/hmac"
	"encoding/hex"
	"strings"
)

// tokenBuiltins is a function so that what asks for no builtin links no key.
func tokenBuiltins() []builtin {
	return []builtin{
		{"io.jwt.decode", 1, func(vm *VM, a []Value) (Value, error) {
			s, err := strOperand("io.jwt.decode", a, 0)
			if err != nil {
				return Value{}, err
			}
			return vm.decodeToken(s)
		}},
		{"io.jwt.decode_verify", 2, decodeVerify},
		{"io.jwt.verify_hs256", 2, verifyKeyed("io.jwt.verify_hs256", crypto.SHA256)},
		{"io.jwt.verify_hs384", 2, verifyKeyed("io.jwt.verify_hs384", crypto.SHA384)},
		{"io.jwt.verify_hs512", 2, verifyKeyed("io.jwt.verify_hs512", crypto.SHA512)},
		{"io.jwt.verify_rs256", 2, verifySigned("io.jwt.verify_rs256", crypto.SHA256, rsaVerifies)},
		{"io.jwt.verify_rs384", 2, verifySigned("io.jwt.verify_rs384", crypto.SHA384, rsaVerifies)},
		{"io.jwt.verify_rs512", 2, verifySigned("io.jwt.verify_rs512", crypto.SHA512, rsaVerifies)},
		{"io.jwt.verify_ps256", 2, verifySigned("io.jwt.verify_ps256", crypto.SHA256, pssVerifies)},
		{"io.jwt.verify_ps384", 2, verifySigned("io.jwt.verify_ps384", crypto.SHA384, pssVerifies)},
		{"io.jwt.verify_ps512", 2, verifySigned("io.jwt.verify_ps512", crypto.SHA512, pssVerifies)},
		{"io.jwt.verify_es256", 2, verifySigned("io.jwt.verify_es256", crypto.SHA256, ecdsaVerifies)},
		{"io.jwt.verify_es384", 2, verifySigned("io.jwt.verify_es384", crypto.SHA384, ecdsaVerifies)},
		{"io.jwt.verify_es512", 2, verifySigned("io.jwt.verify_es512", crypto.SHA512, ecdsaVerifies)},
		{"io.jwt.verify_eddsa", 2, verifySigned("io.jwt.verify_eddsa", 0, ed25519Verifies)},
	}
}

// A token is a JWS in compact form (RFC 7515 section 7.1), still encoded.
type token struct{ header, payload, signature string }

func (t token) signed() []byte { return []byte(t.header + "." + t.payload) }

// splitToken charges for reading a token a few times.
func (vm *VM) splitToken(name, s string) (token, error) {
	if !vm.charge(20+len(s)/8) || !vm.alloc(4*len(s)) {
		return token{}, errLimits
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return token{}, failing(name, "a JWT must have 3 sections")
	}
	return token{parts[0], parts[1], parts[2]}, nil
}

// tokenPart decodes the JSON object of a header or payload.
func (vm *VM) tokenPart(name, text string) (Value, error) {
	v, err := vm.parse(name, text)
	if err != nil {
		return Value{}, err
	}
	if v.Kind() != KindObject {
		return Value{}, failing(name, "a JWT part is no JSON object")
	}
	return v, nil
}

func (vm *VM) tokenHeader(name string, t token) (Value, error) {
	b, err := decodeBase64URL(t.header)
	if err != nil {
		return Value{}, failing(name, "the JWT header has an invalid encoding")
	}
	v, err := vm.tokenPart(name, string(b))
	if err != nil {
		return Value{}, err
	}
	if _, isJWE := v.Get("enc"); isJWE {
		return Value{}, failing(name, "a JWE is not supported")
	}
	return v, nil
}

func (vm *VM) decodeToken(s string) (Value, error) {
	const name = "io.jwt.decode"
	t, err := vm.splitToken(name, s)
	if err != nil {
		return Value{}, err
	}
	header, err := vm.tokenHeader(name, t)
	if err != nil {
		return Value{}, err
	}
	b, err := decodeBase64URL(t.payload)
	if err != nil {
		return Value{}, failing(name, "the JWT payload has an invalid encoding")
	}
	if cty, ok := header.Get("cty"); ok {
		switch text, isString := cty.Str(); {
		case !isString:
			return Value{}, failing(name, "cty must be a string")
		case text == "JWT":
			return vm.decodeToken(strings.Trim(string(b), `"'`))
		}
	}
	payload, err := vm.tokenPart(name, string(b))
	if err != nil {
		return Value{}, err
	}
	signature, err := decodeBase64URL(t.signature)
	if err != nil {
		return Value{}, failing(name, "the JWT signature has an invalid encoding")
	}
	return newArray([]Value{header, payload, String(hex.EncodeToString(signature))}), nil
}

func verifyKeyed(name string, hash crypto.Hash) func(*VM, []Value) (Value, error) {
	return func(vm *VM, a []Value) (Value, error) {
		s, secret, err := strOperands(name, a)
		if err != nil {
			return Value{}, err
		}
		t, err := vm.splitToken(name, s)
		if err != nil {
			return Value{}, err
		}
		signature, err := decodeBase64URL(t.signature)
		if err != nil {
			return Value{}, failing(name, "the JWT signature has an invalid encoding")
		}
		return Bool(hmac.Equal(signature, mac(hash, []byte(secret), t.signed()))), vm.work(len(secret))
	}
}

func mac(hash crypto.Hash, secret, text []byte) []byte {
	h := hmac.New(hash.New, secret)
	h.Write(text)
	return h.Sum(nil)
}

func verifySigned(name string, hash crypto.Hash, verifies verifier) func(*VM, []Value) (Value, error) {
	return func(vm *VM, a []Value) (Value, error) {
		s, err := strOperand(name, a, 0)
		if err != nil {
			return Value{}, err
		}
		t, err := vm.splitToken(name, s)
		if err != nil {
			return Value{}, err
		}
		text, err := strOperand(name, a, 1)
		if err != nil {
			return Value{}, err
		}
		keys, err := vm.publicKeys(name, text)
		if err != nil {
			return Value{}, err
		}
		signature, err := decodeBase64URL(t.signature)
		if err != nil {
			return Value{}, failing(name, "the JWT signature has an invalid encoding")
		}
		v, err := vm.tokenHeader(name, t)
		if err != nil {
			return Value{}, err
		}
		h, err := headerOf(name, v)
		if err != nil {
			return Value{}, err
		}
		ok, err := vm.anyKey(keys, h, func(k publicKey) bool {
			return !k.private && verifies(k.key, hash, t.signed(), signature)
		})
		return Bool(ok), err
	}
}

// A header is what of a JOSE header verifying needs (RFC 7515 section 4.1).
type header struct{ alg, kid, cty string }

// headerOf also refuses headers whose parts have the wrong type.
func headerOf(name string, v Value) (header, error) {
	var h header
	var typ string
	for key, to := range map[string]*string{"alg": &h.alg, "kid": &h.kid, "cty": &h.cty, "typ": &typ} {
		text, ok := v.Get(key)
		s, isString := text.Str()
		if ok && !isString {
			return header{}, failing(name, key+" must be a string")
		}
		*to = s
	}
	if crit, ok := v.Get("crit"); ok {
		if crit.Kind() != KindArray || crit.Index(0).Kind() != KindString {
			return header{}, failing(name, "crit must be a nonempty list of strings")
		}
	}
	return h, nil
}

// understood reports whether no critical parameter of a header is unknown (RFC
// 7515 section 4.1.11).
func understood(v Value) bool {
	crit, _ := v.Get("crit")
	for e := range crit.Elems() {
		s, ok := e.Str()
		if !ok {
			return true
		}
		if _, there := v.Get(s); there && !strings.Contains(" alg kid typ cty crit ", " "+s+" ") {
			return false
		}
	}
	return true
}
