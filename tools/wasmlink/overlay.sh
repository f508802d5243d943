#!/usr/bin/env bash
# overlay.sh FILE: write the overlay (go help build) with which the standard
# library opens no files, for plugins that link time zones and certificates.
set -euo pipefail
root=$("${GO:-go}" env GOROOT)/src
dir=$(cd "$(dirname "$0")/overlay" && pwd)
printf '{"Replace": {"%s": "%s", "%s": "%s"}}\n' \
	"$root/time/sys_unix.go" "$dir/time.txt" "$root/net/lookup_unix.go" "$dir/net.txt" >"$1"
