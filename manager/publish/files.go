package publish

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"
)

// FilesPath is where [Files] serves plugins: below it are NAME/VERSION/plugin.wasm.
const FilesPath = "/plugins/"

// Files serves plugins to gateways. Whoever can reach it may have them: they hold
// no secret, and a gateway checks their digest. A URL is of one build for good,
// so what it answers may be kept for good.
func Files(binaries map[string]Binary) http.Handler {
	mux := http.NewServeMux()
	for name, wasm := range binaries {
		mux.HandleFunc("GET "+FilesPath+name+"/"+wasm.Version()+"/plugin.wasm", func(w http.ResponseWriter, r *http.Request) {
			sum, _ := hex.DecodeString(wasm.SHA256()) // it was encoded there
			h := w.Header()
			h.Set("Content-Type", "application/wasm")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246
			h.Set("ETag", `"`+wasm.SHA256()+`"`)
			h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":") // RFC 9530
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(wasm))
		})
	}
	return mux
}
