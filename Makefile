# The developer's interface. `make help` lists it; everything else is a detail of these.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/metalplane

# What is slow to build is kept outside the checkout, for every checkout of this machine.
export UV_CACHE_DIR := $(CACHE)/uv
export CARGO_TARGET_DIR := $(CACHE)/cargo-target
export GOCACHE := $(CACHE)/go-build

NATIVE := dpu_handler/_native.abi3.so
NATIVE_SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find native -name '*.rs' -o -name Cargo.toml)
STAMP := $(VENV)/.installed
CARGO_FUZZ := $(CACHE)/cargo-fuzz/bin/cargo-fuzz
PACKAGES := provider dpu_handler bmctl sandbox compositions

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install and build all that demo and test need (Debian packages, .venv, native module, control plane, image)
	@sandbox/system/install
	@$(MAKE) --silent $(STAMP)
	@$(MAKE) --silent -j2 $(NATIVE) controlplane image
	@ln -sf "$$($(BIN)/python -m sandbox.binaries)" $(BIN)/kubectl

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(sed -n 's/^uv==\([^ ]*\).*/uv==\1/p' requirements.lock)"
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@rm -f $(NATIVE)
	@touch $@

$(NATIVE): $(STAMP) $(NATIVE_SOURCES)
	@echo "setup: building the native module"
	@$(BIN)/maturin develop --quiet --release >$(VENV)/native.log 2>&1 || { cat $(VENV)/native.log; exit 1; }
	@touch $@

.PHONY: controlplane
controlplane: $(STAMP)
	@$(BIN)/python -m sandbox.binaries >/dev/null

.PHONY: image
image: $(STAMP)
	@$(BIN)/python -m sandbox.images build tiny --output-dir $(CACHE)/images >/dev/null

# The other engine that tests let at our machines. As long to build as it takes, nothing but tests needs it.
.PHONY: argocd
argocd: $(STAMP)
	@nice $(BIN)/python -m tests.tools.argocd.program >/dev/null

# Tests boot it; the demo builds it where IMAGE=debian asks for it.
.PHONY: debian
debian: $(STAMP)
	@nice $(BIN)/python -m sandbox.images build debian --output-dir $(CACHE)/images >/dev/null

# What renders and checks the Helm chart in tests.
.PHONY: charts
charts: $(STAMP)
	@nice $(BIN)/python -m tests.tools.charts.program >/dev/null

.PHONY: demo
demo: setup ## bring a metal cloud up here, boot a server in it (SERVERS=N DPUS=N IMAGE=tiny|debian), and show how that went
	@$(BIN)/python -m sandbox demo $(if $(SERVERS),--servers $(SERVERS)) $(if $(DPUS),--dpus $(DPUS)) $(if $(IMAGE),--image $(IMAGE))

.PHONY: demo-down
demo-down: ## take the demo down and leave nothing
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m sandbox down; fi

.PHONY: check
check: setup ## format, lint, types, import contracts, clippy, generated files
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports --no-logo
	cargo fmt --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	cargo fmt --check --manifest-path native/fuzz/Cargo.toml
	cargo clippy --quiet --locked --manifest-path native/fuzz/Cargo.toml --no-default-features -- -D warnings
	$(BIN)/python -m provider.api.generation --check
	$(BIN)/python -m provider.composition.render --check
	$(BIN)/python -m tests.states --check
	$(BIN)/python -m bmctl.reference --check
	$(BIN)/python -m provider.apiserver.reference --check

.PHONY: test
test: setup ## all of check, and every test: unit, conformance, integration, end to end
	@sandbox/system/install debian-12-tests.txt
	@$(MAKE) --jobs=2 check argocd charts debian
	cargo test --quiet --locked --workspace --exclude metalplane-native
	$(BIN)/pytest --quiet --numprocesses=2

.PHONY: test-faults
test-faults: setup ## a fault at each step of a machine's life, and their table (hours); ARGS="--help" narrows it
	$(BIN)/python -m tests.faults $(ARGS)

# libFuzzer's instrumentation is not for stable compilers, but all of it is in them.
$(CARGO_FUZZ):
	@cargo install --quiet --locked --root $(CACHE)/cargo-fuzz cargo-fuzz@0.13.2

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## look for bytes that break the Rust parsers (SECONDS_EACH=60 for each of three targets)
	cargo run --quiet --locked --package metalplane-properties --example seeds -- $(CACHE)/corpus
	for target in stream tables values; do \
	  RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run --fuzz-dir native/fuzz $$target $(CACHE)/corpus/$$target -- \
	    -max_total_time=$(or $(SECONDS_EACH),60) -max_len=8192 -rss_limit_mb=512; \
	done

.PHONY: generate
generate: setup ## write again what is generated: CRDs, XRD, docs/api.md, docs/states.md, docs/bmctl.md, docs/subresources.md, CSI stubs, golden renders
	$(BIN)/python -m provider.api.generation
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. provider/runtime/csi/csi.proto
	$(BIN)/python -m provider.composition.render
	$(BIN)/python -m tests.states
	$(BIN)/python -m bmctl.reference
	$(BIN)/python -m provider.apiserver.reference

.PHONY: bench
bench: setup ## figures, side by side in one run; ARGS="--help" narrows it
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: clean
clean: demo-down ## remove what was built in this checkout (not the cache)
	rm -rf $(VENV) $(NATIVE) .sandbox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
