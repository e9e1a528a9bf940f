# Everything a developer runs. `make` alone lists it. What is built and fetched
# goes under .weir/, which git ignores.

GO      ?= go
BIN     := .weir/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages where goroutines share memory: these run under the race detector. It
# slows the grammar (WASM) down to minutes, so of the packages that parse only the
# tests run in which goroutines meet.
RACE      ?= ./extproc ./extproc/http ./extproc/postgres ./extproc/postgres/copyout ./xds/... ./envoy/... ./recorder/... ./policies/... ./integration/process/... \
	$(filter-out %/sqlmeta,$(patsubst %/,./%,$(wildcard internal/*/))) ./internal/identity/token
RACE_SLOW ?= ./internal/sqlmeta ./extproc/postgres/catalog
MEETING   ?= AtOnce|Shared|Refresh|Run|Cache|Stale
FUZZTIME ?= 10s
TIMEOUT  ?= 10m

.DEFAULT_GOAL := help
.PHONY: help demo up build setup check fmt fmt-check lint policy test test-short test-race fuzz drivers bench vuln clean clean-all

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup build ## the main job, played with real parts and checked step by step
	@$(GO) run ./examples/demo

up: setup build ## the same parts, left running for you to try
	@$(GO) run ./examples/demo -keep

build: ## build .weir/bin/weir (minutes the first time)
	$(GO) build -ldflags '-X github.com/weir-gateway/weir/internal/cli.Version=$(VERSION)' -o $(BIN)/weir ./cmd/weir

setup: ## fetch Envoy, PostgreSQL, its clients and the ClickHouse engine into .weir (260 MB, once)
	@$(GO) run ./integration/parts/cmd/parts

check: fmt-check lint test-short policy ## all that needs no network and no parts, in two minutes: before each commit

fmt: $(BIN)/golangci-lint ## format all Go files
	$(BIN)/golangci-lint fmt

fmt-check: $(BIN)/golangci-lint
	$(BIN)/golangci-lint fmt --diff

lint: $(BIN)/golangci-lint ## vet and golangci-lint
	$(GO) vet ./...
	$(BIN)/golangci-lint run

policy: ## check and test the Rego rules of the examples
	@for what in check test; do $(GO) run ./cmd/weir policy $$what --bundle examples/shop/policy --classification examples/shop/classification.yaml || exit 1; done

test-short: ## unit tests; tests whose parts are not set up are skipped
	$(GO) test -short -timeout $(TIMEOUT) ./...

test: setup test-race ## every test, against the real parts: what CI runs
	$(GO) test -timeout $(TIMEOUT) ./...
	WEIR_TRANSPORT=relay $(GO) test -count=1 -timeout $(TIMEOUT) ./integration # again, over the other transport: the tests in which it has a part
	WEIR_TRANSPORT=relay $(GO) test -count=1 -timeout $(TIMEOUT) -run '^TestPgx$$' ./integration/drivers

test-race: ## unit tests of the concurrent packages under the race detector
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null; then \
		echo '$(GO) test -race -short $(RACE)'; \
		$(GO) test -race -short -timeout $(TIMEOUT) $(RACE) && \
		$(GO) test -race -short -timeout $(TIMEOUT) -run '$(MEETING)' $(RACE_SLOW); \
	else \
		echo 'The race detector needs a C compiler, and there is none: its tests run without it.'; \
	fi

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@grep -rHo --include='*_test.go' --exclude-dir=.weir '^func Fuzz[A-Za-z0-9_]*' . \
	| sed 's|/[^/]*_test.go:func | |' | sort -u | while read -r dir name; do \
		echo "fuzz $$name in $$dir"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null || exit 1; \
	done

drivers: setup ## prove every driver and tool, those too that `make test` leaves out
	WEIR_DRIVERS=all $(GO) test -timeout 60m -v ./integration/drivers
	WEIR_DRIVERS=all WEIR_TRANSPORT=relay $(GO) test -timeout 60m -v ./integration/drivers

bench: setup ## measure what the gateway costs, into bench/RESULTS.md (25 minutes on a quiet machine; BENCH=-quick tries it)
	$(GO) run ./bench $(BENCH)

vuln: $(BIN)/govulncheck ## look for known vulnerabilities in what we depend on (asks the network)
	$(BIN)/govulncheck ./...

clean: ## remove what was built; fetched parts stay
	rm -f $(BIN)/weir $(BIN)/golangci-lint $(BIN)/govulncheck

clean-all: ## remove .weir whole
	rm -rf .weir

# The tools have a module of their own, so that the gateway depends on none.
$(BIN)/golangci-lint: TOOL := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(BIN)/govulncheck: TOOL := golang.org/x/vuln/cmd/govulncheck
$(BIN)/golangci-lint $(BIN)/govulncheck: tools/go.mod tools/go.sum
	@echo 'building $(@F) (minutes the first time)'
	@cd tools && $(GO) build -o ../$@ $(TOOL)
	@touch $@
