# Keyward. `make help` says what can be made.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

GO ?= go
FUZZTIME ?= 20s
# BUILTINS=all links what policies seldom need: regular expressions, big numbers,
# calendars, YAML. It makes the gate more than twice as large; `make clean` first.
BUILTINS ?= lean
plugins := gate key-swap

# A plugin links plugins/ and policies/ alone, so these decide whether it is old.
plugin_sources := $(shell git ls-files --cached --others --exclude-standard -- \
	'plugins/*.go' 'policies/*.go' 'tools/wasmlink/*' go.mod go.sum | grep -v _test.go)

# What a plugin tells the Manager that it is.
build_name = $(shell (cat $(plugin_sources) && $(GO) version && echo $(BUILTINS)) | sha256sum | cut -c1-12)

.PHONY: help
help: ## say what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

.PHONY: run
run: bin/keyward plugins ## build everything and start Keyward on this machine
	bin/keyward demo --stay

.PHONY: demo
demo: bin/keyward plugins forward bin/demo-agent ## play the whole story once, and fail if a step does not hold
	bin/keyward demo

.PHONY: test
test: ## run every test of this machine's Go, and on Envoy where Python can install it
	KEYWARD_E2E=0 $(GO) test -json -vet=off ./... | $(GO) run ./tools/testsum

.PHONY: e2e
e2e: plugins ## run real clients and servers against both gateways
	$(GO) test -json -count=1 -timeout=60m ./tests/e2e/... ./manager/docker ./manager/kubernetes ./manager/objects ./manager/publish ./tests/testenv | $(GO) run ./tools/testsum

.PHONY: bench
bench: plugins ## measure both plugins on Envoy beside their peers, into dist/bench.json
	$(GO) run ./tools/bench $(BENCHFLAGS)

.PHONY: bench-revoke
bench-revoke: plugins ## measure how soon changes are in force on Envoy's threads, into dist/bench-revoke.json
	TRIALS=$(or $(TRIALS),1000) ROTATIONS=$(or $(ROTATIONS),20) CALLS=$(or $(CALLS),10000) OUT=dist/bench-revoke.json \
		$(GO) test -count=1 -timeout=60m -v -run='^TestChangesAreInForceOnEveryThread$$' ./tests/e2e/revoke | grep -v '^ *[{\[]'
	cat dist/bench-revoke.json

.PHONY: bench-engine
bench-engine: ## measure the policy engine beside OPA, natively and in wasm, into dist/bench-engine.json
	@mkdir -p dist
	$(GO) run ./tools/bench/engine -json dist/bench-engine.json $(BENCHFLAGS)

.PHONY: bench-scale
bench-scale: plugins ## measure what grows with the number of consumers, into dist/bench-scale.json
	$(GO) run ./tools/bench/scale $(BENCHFLAGS)

.PHONY: bench-audit
bench-audit: plugins ## measure the audit log, kill gateway, Manager and homeserver KILLS=100 times, into dist/audit.json
	rm -f dist/audit.json
	$(GO) run ./tools/bench -connections 1 -rounds 40 -requests 500 -rows none,chain-mcp,chain-mcp+records -json dist/bench-audit.json -recording dist/audit.json $(BENCHFLAGS)
	RECORDS=$(or $(RECORDS),1000000) MUTATIONS=$(or $(MUTATIONS),10000) KILLS=$(or $(KILLS),100) CALLS=$(or $(CALLS),10000) DELIVERIES=$(or $(DELIVERIES),1000) OUT=audit.json \
		$(GO) test -count=1 -timeout=120m -v -run='^(TestMeasure|TestMeasureDelivery|TestKillsLoseAndDoubleNothing)$$' ./tests/e2e/audit | grep --line-buffered -v '^ *[{\[]'
	cat dist/audit.json

.PHONY: bench-workers
bench-workers: plugins ## measure Workers from creation to first calls, N=50 at once, into dist/bench-workers.json
	KEYWARD_BENCH_WORKERS=$(or $(N),50) $(GO) test -count=1 -timeout=30m -v -run='^TestBenchWorkers$$' ./tests/e2e/workers | grep -v time=

.PHONY: plugins
plugins: dist/SHA256SUMS ## build the plugins into dist/*.wasm with their SHA-256 sums

.PHONY: forward
forward: ## build what passes Workers' connections to the gateway, into bin/keyward-forward
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/keyward-forward ./tools/forward

.PHONY: sync
sync: ## build what brings files to and from Workers, for their images, into bin/keyward-sync
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/keyward-sync ./tools/sync

.PHONY: bin/demo-agent
bin/demo-agent:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o $@ ./tools/demo/agent

.PHONY: check
check: ## lint everything, and fail if that changes a file
	scripts/check

.PHONY: fmt
fmt: ## format every Go and Rego file
	bin=$$(scripts/tools) && git ls-files -z -- '*.go' | xargs -0 $$bin/gofumpt -w && \
		git ls-files -z -- '*.rego' ':!*/testdata/*' | xargs -0 $$bin/opa fmt -w

.PHONY: fuzz
fuzz: ## run every fuzz target, or those named like ONLY, for FUZZTIME (20s); N=100000: compare N evaluations with OPA instead
ifdef N
	PAIRS=$(N) $(GO) test -count=1 -timeout=0 -v -run='^TestDifferential$$' ./policies/compile
else
	scripts/fuzz $(FUZZTIME) $(ONLY)
endif

.PHONY: clean
clean: ## remove what was built here
	rm -rf bin dist

.PHONY: bin/keyward
bin/keyward:
	$(GO) build -trimpath -o $@ ./tools/keyward

# Go's newer collector (greentea) is no faster here, and 40 kB larger.
dist/%.wasm: $(plugin_sources)
	@mkdir -p bin dist
	tools/wasmlink/overlay.sh bin/overlay.json
	GOEXPERIMENT=nogreenteagc GOOS=wasip1 GOARCH=wasm $(GO) build $(if $(filter lean,$(BUILTINS)),-tags=lean,-overlay=bin/overlay.json) -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w -X keyward/plugins/live.build=keyward-build:$*-$(build_name)' -o bin/$*.raw.wasm ./plugins/$*
	$(GO) run ./tools/wasmlink $(if $(filter lean,$(BUILTINS)),-interface plugins/$*/interface.txt) -o $@ bin/$*.raw.wasm

dist/SHA256SUMS: $(plugins:%=dist/%.wasm)
	cd dist && sha256sum $(plugins:%=%.wasm) >SHA256SUMS
