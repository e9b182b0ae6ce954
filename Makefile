# Needs Go, git and make. What else a target needs, scripts/need finds or installs.

need := scripts/need
caddyfiles := Caddyfile.example $(wildcard examples/*/*Caddyfile) bench/Caddyfile

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

.PHONY: demo
demo: build ## See it work: Caddy, a product and a receiver of webhooks; Ctrl-C ends it
	@go build -o bin/demo ./examples/demo && exec bin/demo -caddy bin/caddy

.PHONY: bench
bench: build ## Measure what is promised, on this machine; see bench/README.md
	@redis=$$($(need) redis) && go build -o bin/bench ./bench && \
		WEBHOOKS_REDIS_SERVER=$$redis exec bin/bench -caddy bin/caddy $(ARGS)

.PHONY: figures
figures: ## Put the last figures of make bench into the documents
	@go run ./bench -documents .

.PHONY: rising
rising: ## Check that 5,000,000 rows of log make nothing dearer; some 10 minutes, 7 GB of memory and of TMPDIR
	@redis=$$($(need) redis) && WEBHOOKS_REDIS_SERVER=$$redis \
		go test -v -count=1 -timeout 2h -p 1 -run '^TestRising$$' ./delivery/embedded ./delivery/redis -rows 5000000

.PHONY: chaos
chaos: ## Break everything while it works, and check that nothing is lost; some 20 minutes
	@redis=$$($(need) redis) && WEBHOOKS_REDIS_SERVER=$$redis \
		go test -v -count=1 -tags chaos -timeout 60m -run '^Test(Chaos|Eviction)$$' ./chaos $(ARGS)

.PHONY: build
build: ## Build bin/caddy: Caddy with this module
	@[ -e bin/caddy ] || echo "Building Caddy; the first time takes some minutes."
	@go build -o bin/caddy ./cmd/caddy

.PHONY: run
run: build ## Run bin/caddy with Caddyfile.example
	bin/caddy run --config Caddyfile.example

# At its end, each program with the race detector sleeps for a second, so that goroutines that are
# left can still be caught. The tests run hundreds of such programs, above all Caddys.
export GORACE ?= atexit_sleep_ms=100

.PHONY: test
test: needed ## Check everything: linters, all tests with the race detector and a real Redis, fuzzing
	@$(MAKE) -j 2 test-browser beside
	@$(MAKE) test-packages

# Tests with a browser wait much of the time, for it and for one another. What only computes runs
# beside them, and has what they leave of the processors.
.PHONY: beside
beside:
	@nice -n 19 $(MAKE) lint
	@nice -n 19 $(MAKE) fuzz

.PHONY: needed
needed:
	@for what in redis chromium cc strace examples; do $(need) $$what >/dev/null || exit 1; done

# A browser beside other packages' tests stands still for a minute now and then: those that
# have one run before them, which are these in caddymodule.
browser := ^Test(DashboardPage|SignOut)$$
# The race detector is dearer than all that this test measures.
measured := ^TestRising$$
# The packages whose tests take longest go first: lest one of them runs alone in the end. As they
# wait for servers now and then, there is one package more than processors.
slowest := ./delivery/redis ./caddymodule ./delivery/embedded ./delivery ./api ./contracttest ./chaos ./examples/store
together := $$(($$(getconf _NPROCESSORS_ONLN) + 1))
.PHONY: test-go
test-go: needed ## Run the tests alone
	@$(MAKE) test-browser
	@$(MAKE) test-packages

.PHONY: test-browser
test-browser:
	redis=$$($(need) redis) && chromium=$$($(need) chromium) && \
		export WEBHOOKS_REDIS_SERVER=$$redis WEBHOOKS_CHROMIUM=$$chromium && \
		go test -race -vet=off -timeout 20m -run '$(browser)' ./caddymodule

.PHONY: test-packages
test-packages:
	redis=$$($(need) redis) && export WEBHOOKS_REDIS_SERVER=$$redis && \
		go test -vet=off -timeout 20m -run '$(measured)' ./delivery/embedded ./delivery/redis && \
		go test -race -vet=off -timeout 20m -p $(together) -skip '$(browser)|$(measured)' $(slowest) ./...

# Package, target and how many inputs: about half a minute's worth. A count, not a
# time, lest a busy machine's clock end a run in the middle of an input.
fuzzed := api:FuzzEventInput:60000 api:FuzzWebhookInput:60000 \
	api:FuzzCursor:60000 delivery/redis:FuzzRecords:300000 \
	delivery/embedded:FuzzRecords:300000 delivery/sender:FuzzResponse:60000 \
	delivery/sender:FuzzPlainHeader:60000 delivery/sender:FuzzCheckAddr:100000 \
	delivery/follow:FuzzPosition:60000 delivery/expression:FuzzExpression:4000 \
	delivery/expression:FuzzData:60000

# FUZZ is how many percent of these inputs are fed: more than 100 for a longer search.
FUZZ := 50

.PHONY: fuzz
fuzz: ## Feed whatever strangers may send to what reads it, a quarter of a minute each
	@redis=$$($(need) redis) && for one in $(fuzzed); do \
		set -- $$(echo $$one | tr : ' ') && \
		WEBHOOKS_REDIS_SERVER=$$redis go test -vet=off -run '^$$' -fuzz "^$$2\$$" -fuzztime $$(($$3 * $(FUZZ) / 100))x ./$$1 || exit 1; \
	done

# Licences that libraries may have: those that ask no more than to be named, and the MPL,
# which asks for changes to its own files alone.
licences := Apache-2.0,BSD-2-Clause,BSD-3-Clause,CC0-1.0,ISC,MIT,MPL-2.0

.PHONY: supply
supply: ## Check the libraries: their licences, and whether they are known to be vulnerable
	go mod verify
	licenses=$$($(need) go-licenses) && $$licenses check --logtostderr=false --log_file=/dev/null --stderrthreshold=ERROR \
		--allowed_licenses=$(licences) ./... || exit 1
	@govulncheck=$$($(need) govulncheck) && { found=$$($$govulncheck ./... 2>&1) || case $$found in \
		*"fetching vulnerabilities"*) echo "NOT CHECKED: the database of known vulnerabilities cannot be had from here." ;; \
		*) echo "$$found"; exit 1 ;; esac; }

.PHONY: lint
lint: supply ## Run the linters alone
	go vet ./... && go vet -tags chaos ./chaos
	linter=$$($(need) golangci-lint) && $$linter fmt --diff && $$linter run --allow-parallel-runners
	for file in $(caddyfiles); do go run ./cmd/caddy fmt $$file >/dev/null || exit 1; done
	sh -n scripts/need && sh -n .ci/run

.PHONY: fmt
fmt: ## Format Go files and Caddyfiles
	linter=$$($(need) golangci-lint) && $$linter fmt
	for file in $(caddyfiles); do go run ./cmd/caddy fmt --overwrite $$file; done

.PHONY: clean
clean: ## Remove what was built or fetched into this folder
	rm -rf bin .tools
