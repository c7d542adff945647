# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# One set of flags for every build, or the build cache is filled twice: ko
# builds the images with -trimpath and without cgo, too.
export GOFLAGS := -trimpath -buildvcs=false
export CGO_ENABLED := 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: quickstart
quickstart: ## From a clone to the enriched event on the screen.
	@./hack/quickstart.sh

# One thing after the other, whatever -j says: the battery counts on nobody but
# itself being at its agents, and the suite on one cluster.
.NOTPARALLEL:

.PHONY: test
test: verify unit faults mutation soak-short e2e ## Everything that CI checks. Needs root, or a cluster of your own.

# golangci-lint is pinned in hack/tools, a module of its own: it has 200 dependencies.
# It finds .golangci.yml from each of the modules below.
.PHONY: lint
lint: ## The linters of .golangci.yml; the first run builds them in a minute or two.
	@golangci=$$(go -C hack/tools tool -n golangci-lint) || exit; \
	for module in . hack/cluster test/performance/plot; do \
	  echo "golangci-lint in $$module" && (cd $$module && $$golangci run ./...) || exit; \
	done

# Not a part of make test: its result changes with the database, without a change
# here. Where vuln.go.dev can't be reached, the database is also a Go module:
#   make vulncheck VULNDB=file://$(go mod download -json golang.org/x/vulndb@latest | jq -r .Dir)/data/osv
.PHONY: vulncheck
vulncheck: VULNDB ?= https://vuln.go.dev
vulncheck: ## Known vulnerabilities that the code reaches, from the database VULNDB.
	@govulncheck=$$(go -C hack/tools tool -n govulncheck) && $$govulncheck -db=$(VULNDB) ./...

.PHONY: verify
verify: lint ## Formatting, linters, mutants, generated code.
	@./hack/verify-format.sh
	go run ./test/mutation -check
	@./hack/verify-codegen.sh

# The race detector needs cgo.
.PHONY: unit
unit: export CGO_ENABLED := 1
unit: ## Unit tests with the race detector. Needs no root and no cluster.
	go test -race $$(go list ./... | grep -v /test/faults)
	go -C hack/cluster test -race ./...
	go -C test/performance/plot test -race ./...
	@# Every crash point, and what decoding allocates: the race detector would take
	@# too long, or allocate as well.
	CGO_ENABLED=0 go test ./internal/agent/spool ./internal/agent/event

# Alone: it fills the machine by itself. It knows no time limits but those of a
# test that hangs.
.PHONY: faults
faults: ## The battery of faults around the agent's process, a minute or so.
	@# In its folder, so that its output shows: it prints its seed.
	cd test/faults && go test -count=1 -timeout=20m

.PHONY: fuzz
fuzz: FUZZ_TIME ?= 20s
fuzz: ## Every fuzz target for a moment, FUZZ_TIME=20s each.
	@./hack/fuzz.sh $(FUZZ_TIME)

.PHONY: mutation
mutation: ## Break promises one by one: a test must notice each.
	go run ./test/mutation

.PHONY: bench
bench: ## What the agent costs beside a bare proxy, half an hour at most. Needs a quiet machine.
	go run ./test/performance $(BENCH)

.PHONY: bench-full
bench-full: ## The same with every arm and every kind of load.
	go run ./test/performance -full -limit=3h $(BENCH)

.PHONY: bench-lookup
bench-lookup: ## What looking annotations up for each event would cost, some 8 minutes. Needs a quiet machine.
	go run ./test/performance/lookup $(BENCH)

.PHONY: soak
soak: SOAK_TIME ?= 1h
soak: ## Fuzzing, kills of the spool, an outage and the battery in rounds, for SOAK_TIME=1h.
	@./hack/soak.sh $(SOAK_TIME)

# The part of it that runs in CI: a short outage.
.PHONY: soak-short
soak-short:
	@./hack/soak.sh 2m

.PHONY: e2e
e2e: ## The end-to-end suite, on the local cluster or your own.
	@./hack/e2e.sh

# Not a part of make test: KServe takes minutes to build and a third of the
# cluster's memory. The rest of the suite doesn't need it.
.PHONY: e2e-kserve
e2e-kserve: ## The end-to-end suite of KServe with a LoggerBinding.
	@./hack/e2e-kserve.sh

# Not a part of make test: it restarts Eventing with other settings, and back.
.PHONY: e2e-tls
e2e-tls: ## The end-to-end suite of strict TLS and OIDC in Eventing.
	@./hack/e2e-tls.sh

.PHONY: codegen
codegen: ## Write everything that is generated.
	@./hack/update-codegen.sh

.PHONY: up
up: ## Start the local cluster with Knative.
	@go -C hack/cluster run . up

.PHONY: up-kserve
up-kserve: ## The same, with KServe on top of Knative.
	@go -C hack/cluster run . up --kserve

.PHONY: down
down: ## Stop the local cluster. What it built stays.
	@go -C hack/cluster run . down
