//go:build !lean

package engine

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
)

// A publicKey verifies signatures. Of a private JWK, it is the public part.
type publicKey struct {
	alg, kid string // "" when the key does not say
	key      any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte
	private  bool
}

// publicKeys reads one PEM certificate or public key, a JWK or a set of them (RFC
// 7517).
func (vm *VM) publicKeys(name, text string) ([]publicKey, error) {
	if !vm.charge(500+len(text)) || !vm.alloc(8*len(text)) {
		return nil, errLimits
	}
	if block, rest := pem.Decode([]byte(text)); block != nil {
		if len(rest) > 0 {
			return nil, failing(name, "extra data after a PEM certificate block")
		}
		return pemKey(name, block)
	}
	v, err := vm.parse(name, text)
	if err != nil {
		return nil, err
	}
	list := []Value{v}
	if set, ok := v.Get("keys"); ok {
		list = nil
		if set.Kind() == KindArray {
			list = set.elems()
		}
	}
	keys := make([]publicKey, 0, len(list))
	for _, jwk := range list {
		k, ok := jwkKey(jwk)
		if !ok {
			return nil, failing(name, "not a JWK")
		}
		if k.alg == "" || knownAlgorithms[k.alg] {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func pemKey(name string, block *pem.Block) ([]publicKey, error) {
	switch block.Type {
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, failing(name, "failed to parse a PEM certificate")
		}
		return []publicKey{{key: cert.PublicKey}}, nil
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, failing(name, "failed to parse a PEM public key")
		}
		return []publicKey{{key: key}}, nil
	}
	return nil, failing(name, "failed to extract a key from the PEM certificate")
}

var knownAlgorithms = map[string]bool{
	"HS256": true, "HS384": true, "HS512": true, "RS256": true, "RS384": true, "RS512": true,
	"PS256": true, "PS384": true, "PS512": true, "ES256": true, "ES384": true, "ES512": true, "EdDSA": true,
}

// jwkKey reads one JWK (RFC 7518 section 6).
func jwkKey(v Value) (k publicKey, ok bool) {
	kty, _ := text(v, "kty")
	k.alg, _ = text(v, "alg")
	k.kid, _ = text(v, "kid")
	_, k.private = v.Get("d")
	switch kty {
	case "RSA":
		n, ok1 := octets(v, "n")
		e, ok2 := octets(v, "e")
		exponent := new(big.Int).SetBytes(e)
		k.key = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
		return k, ok1 && ok2 && exponent.IsInt64() && exponent.Int64() <= 1<<31-1
	case "EC":
		crv, _ := text(v, "crv")
		curve, known := curves[crv]
		x, ok1 := octets(v, "x")
		y, ok2 := octets(v, "y")
		if known {
			k.key = ecKey(curve, x, y)
		}
		return k, known && ok1 && ok2
	case "OKP":
		x, ok := octets(v, "x")
		if crv, _ := text(v, "crv"); crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			k.key = ed25519.PublicKey(x)
		}
		return k, ok
	case "oct":
		key, ok := octets(v, "k")
		k.key = key
		return k, ok
	}
	return k, false
}

// An offCurve is an EC key that is no point of its curve: it verifies nothing.
type offCurve struct{ elliptic.Curve }

func ecKey(curve elliptic.Curve, x, y []byte) any {
	size := (curve.Params().BitSize + 7) / 8
	xi, yi := new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)
	if xi.BitLen() > 8*size || yi.BitLen() > 8*size {
		return offCurve{curve}
	}
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed; SEC 1 section 2.3.3
	xi.FillBytes(point[1 : 1+size])
	yi.FillBytes(point[1+size:])
	k, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return offCurve{curve}
	}
	return k
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func text(o Value, name string) (string, bool) {
	v, _ := o.Get(name)
	return v.Str()
}

func octets(o Value, name string) ([]byte, bool) {
	s, _ := text(o, name)
	b, err := decodeBase64URL(s)
	return b, err == nil && len(b) > 0
}

// A verifier reports whether key made signature of text.
type verifier func(key any, hash crypto.Hash, text, signature []byte) bool

func sumOf(hash crypto.Hash, text []byte) []byte {
	h := hash.New()
	h.Write(text)
	return h.Sum(nil)
}

// maxModulusBits bounds RSA keys, whose cost grows with the square of it.
const maxModulusBits = 16384

func rsaVerifies(key any, hash crypto.Hash, text, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() <= maxModulusBits && rsa.VerifyPKCS1v15(k, hash, sumOf(hash, text), signature) == nil
}

func pssVerifies(key any, hash crypto.Hash, text, signature []byte) bool {
	return pssVerifiesWith(key, hash, text, signature, nil)
}

func pssVerifiesWith(key any, hash crypto.Hash, text, signature []byte, opt *rsa.PSSOptions) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() <= maxModulusBits && rsa.VerifyPSS(k, hash, sumOf(hash, text), signature, opt) == nil
}

// ecdsaFits reports whether signature is as long as the key's curve makes it (RFC
// 7518 section 3.4).
func ecdsaFits(key any, signature []byte) bool {
	var curve elliptic.Curve
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		curve = k.Curve
	case offCurve:
		curve = k.Curve
	default:
		return false
	}
	return len(signature) == (curve.Params().BitSize+7)/8*2
}

func ecdsaVerifies(key any, hash crypto.Hash, text, signature []byte) bool {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	n := len(signature) / 2
	r, s := new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:])
	return ecdsa.Verify(k, sumOf(hash, text), r, s)
}

func ed25519Verifies(key any, _ crypto.Hash, text, signature []byte) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && ed25519.Verify(k, text, signature)
}
