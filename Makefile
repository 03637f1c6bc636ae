# Two commands are all a newcomer needs: `make demo` and `make test`. Everything they make is inside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
WHEELS := .venv-wheels
CREWAI_OLDEST := 1.9.3
FUZZ_SECONDS ?= 20
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

export UV_PYTHON_DOWNLOADS := never
export UV_CACHE_DIR ?= $(CURDIR)/target/uv
export CARGO_HOME ?= $(CURDIR)/target/cargo
export CARGO_BUILD_JOBS ?= 2

# All packages with all features, also where one of them would do: each other choice compiles the client of NATS once more, for minutes.
WHOLE := --workspace --all-features --locked

# CrewAI asks nobody, tells nobody and writes into nobody's home while it is tested.
QUIET := HOME=$(CURDIR)/target/home CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true CREWAI_TRACING_ENABLED=false CREWAI_TESTING=true LITELLM_LOCAL_MODEL_COST_MAP=True

.PHONY: help
help: ## Show this.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

.PHONY: demo
demo: $(VENV)/installed ## Run a sealed crew and three attacks on it. Needs no network once installed, and no key.
	$(VENV)/bin/sealwire demo

.PHONY: test
test: lint test-rust test-python test-native ## Everything that must hold before a change lands, but what needs a server or root.
	@echo 'Left out: the transports over NATS, which need a server (make test-nats); three hosts, which need root (make test-hosts); C under'
	@echo 'sanitizers, which needs g++ and valgrind (make test-ffi); the models, which need spin (make models).'

.PHONY: lint
lint: $(VENV)/tools
	cmp LICENSE-APACHE python/LICENSE-APACHE && cmp LICENSE-MIT python/LICENSE-MIT
	cargo fmt --all --check
	cargo clippy $(WHOLE) --all-targets -- -D warnings
	cargo clippy -p sealwire --no-default-features --locked -- -D warnings
	for feature in home pairing node unix tcp tls nats conformance stream; do cargo clippy -p sealwire --no-default-features --features $$feature --locked -- -D warnings; done
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	cd python && ../$(VENV)/bin/ruff check . ../tests ../ffi/examples
	cd python && ../$(VENV)/bin/ruff format --check . ../tests ../ffi/examples
	cd python && ../$(VENV)/bin/mypy sealwire
	cd python && MYPYPATH=. ../$(VENV)/bin/stubtest sealwire._sealwire

.PHONY: test-rust
test-rust: check-rust
	cargo test $(WHOLE)

.PHONY: test-hosts
test-hosts: $(VENV)/tools ## Three hosts in network namespaces: a crew over all of them, by each transport; nodes that are killed, cut off and set back. Needs root, iproute2, nftables, tcpdump, nats-server.
	@[ "$$(id -u)" = 0 ] || { echo 'network namespaces need root: `sudo make test-hosts`' >&2; exit 1; }
	@for tool in ip nft tcpdump nats-server setpriv /usr/bin/python3; do command -v $$tool >/dev/null || \
	  { echo "$$tool is missing: on Debian or Ubuntu, \`apt install iproute2 nftables tcpdump nats-server util-linux python3\`" >&2; exit 1; }; done
	cargo test $(WHOLE) --no-run
	$(QUIET) $(VENV)/bin/python -m pytest tests/hosts

.PHONY: test-nats
test-nats: check-rust $(VENV)/tools ## The transports over NATS, against a real server. Needs nats-server: on Debian or Ubuntu, `apt install nats-server`.
	@command -v nats-server >/dev/null || { echo 'nats-server is missing: on Debian or Ubuntu, `apt install nats-server`' >&2; exit 1; }
	SEALWIRE_REQUIRE_NATS=1 cargo test $(WHOLE) --test transports
	SEALWIRE_REQUIRE_NATS=1 $(QUIET) $(VENV)/bin/python -m pytest python/tests/test_node_ways.py -k server

.PHONY: test-ffi
test-ffi: check-rust $(VENV)/tools ## The C interface: its header; C programs, plain, under sanitizers and valgrind; C and Python, through files and sockets. Needs g++ and valgrind.
	SEALWIRE_REQUIRE_C=1 cargo test -p sealwire-ffi --locked
	cargo build -p sealwire-ffi --locked
	cargo test $(WHOLE) --no-run
	$(QUIET) $(VENV)/bin/python -m pytest tests/c

.PHONY: ffi-header
ffi-header: check-rust ## Write ffi/include/sealwire.h anew after ffi/src was changed.
	SEALWIRE_WRITE_HEADER=1 cargo test -p sealwire-ffi --test header

.PHONY: install-ffi
install-ffi: check-rust ## Install the C interface into PREFIX (/usr/local): header, libraries, pkg-config file.
	cargo build --release --locked -p sealwire-ffi
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 ffi/include/sealwire.h $(DESTDIR)$(PREFIX)/include
	install -m 644 target/release/libsealwire_ffi.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 target/release/libsealwire_ffi.so $(DESTDIR)$(PREFIX)/lib
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' ffi/sealwire.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/sealwire.pc

.PHONY: wheels
wheels: $(WHEELS)/tools | check-rust ## Build dist/: wheels for x86-64 and aarch64 that need no compiler, and the source archive. Run on Debian.
	rm -rf dist
	PATH=$(CURDIR)/$(WHEELS)/bin:$$PATH tests/wheels/build target/rust-for-arm64 x86_64 aarch64
	$(WHEELS)/bin/python tests/wheels/check.py dist

.PHONY: test-wheels
test-wheels: wheels ## Check them, run the tests of the package on both, let them talk. Run on Debian, with qemu-user-static.
	$(WHEELS)/bin/python -m pytest tests/wheels

.PHONY: test-sdist
test-sdist: $(WHEELS)/tools ## Build the package from the source archive in dist/, as pip does where there is no wheel.
	$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) target/sdist
	$(VENV)/bin/uv pip install --quiet --python target/sdist/bin/python --reinstall dist/*.tar.gz
	cd target && sdist/bin/python -c 'import sealwire; sealwire.Endpoint().host("a")' && sdist/bin/sealwire --version

.PHONY: test-python
test-python: $(VENV)/tools
	$(QUIET) $(VENV)/bin/python -m pytest python/tests tests/independent

.PHONY: test-native
test-native: check-rust $(VENV)/tools ## Examples in Rust: a coworker of a CrewAI crew, a signing agent.
	cargo test $(WHOLE) --no-run
	$(QUIET) $(VENV)/bin/python -m pytest tests/native

.PHONY: test-oldest
test-oldest: $(OLDEST)/installed ## The CrewAI tests with the oldest CrewAI that is supported.
	$(QUIET) $(OLDEST)/bin/python -m pytest $$(grep -l crewai python/tests/test_*.py) python/tests/test_docs.py

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZ_SECONDS (20). Needs cargo-fuzz: `cargo install --locked cargo-fuzz`.
	@command -v cargo-fuzz >/dev/null || { echo 'cargo-fuzz is missing: run `cargo install --locked cargo-fuzz`' >&2; exit 1; }
	$(PYTHON) fuzz/seeds.py
	for target in $$(cargo fuzz list); do cargo fuzz run --sanitizer none $$target -- -dict=$(CURDIR)/fuzz/corpus/sealwire.dict -max_total_time=$(FUZZ_SECONDS) -seed=1; done

.PHONY: coverage
coverage: check-rust ## Which lines of the core the tests in Rust run. Takes half an hour. Needs cargo-llvm-cov, and llvm of the version of rustc: on Debian, `apt install llvm-22`.
	$(PYTHON) tests/coverage.py

.PHONY: constant-time
constant-time: check-rust ## Measure whether the time of a comparison tells where secrets differ.
	$(PYTHON) tests/constant-time/check.py

.PHONY: models
models: ## Check the model of the journal, and that each broken rule is found. Needs spin: on Debian or Ubuntu, `apt install spin`.
	@command -v cc >/dev/null || { echo 'A C compiler is missing: on Debian or Ubuntu, `apt install gcc`' >&2; exit 1; }
	$(PYTHON) docs/models/run.py spin

.PHONY: models-verifpal
models-verifpal: ## Check the models of opening, lane and pairing. Needs Verifpal: `cargo install verifpal --ignore-rust-version`.
	$(PYTHON) docs/models/run.py verifpal

.PHONY: bench
bench: $(VENV)/tools ## Measure sealing and opening beside their primitives, and a sealed crew beside a bare one.
	cargo bench --locked -p sealwire
	$(QUIET) $(VENV)/bin/python python/tests/bench_crew.py

.PHONY: bench-nodes
bench-nodes: $(VENV)/tools ## Measure nodes beside plain TCP and mutual TLS, from Rust and from Python, and what an idle one takes.
	cargo bench --locked -p sealwire --features node,pairing,tls --bench node
	$(QUIET) $(VENV)/bin/python python/tests/bench_node.py
	$(QUIET) $(VENV)/bin/python python/tests/bench_node.py --idle

# What a fresh machine may lack, each with its remedy.

.PHONY: check-rust
check-rust:
	@command -v cargo >/dev/null || { echo 'Rust is missing: install it from https://rustup.rs (1.95 or newer)' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'A C compiler is missing: on Debian or Ubuntu, `apt install gcc`; on macOS, `xcode-select --install`' >&2; exit 1; }

.PHONY: check-python
check-python:
	@command -v $(PYTHON) >/dev/null || { echo 'Python is missing: install Python 3.10 to 3.13, or say which: `make PYTHON=python3.12 …`' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$$($(PYTHON) --version) cannot run CrewAI: use Python 3.10 to 3.13, as in \`make PYTHON=python3.12 …\`" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'Python lacks venv: on Debian or Ubuntu, `apt install python3-venv`' >&2; exit 1; }

SOURCES := Cargo.toml Cargo.lock .cargo/config.toml $(wildcard core/Cargo.toml cli/Cargo.toml python/Cargo.toml python/pyproject.toml) \
           $(shell find core/src cli/src python/src python/sealwire -type f -not -name '*.so' -not -name '*.pyc' 2>/dev/null)

$(VENV)/uv: | check-python
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check uv
	touch $@

$(VENV)/installed: $(VENV)/uv $(SOURCES) | check-rust
	@echo 'Building the package and installing CrewAI into $(VENV): a few minutes the first time.'
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --reinstall-package sealwire './python[crewai]'
	touch $@

$(VENV)/tools: $(VENV)/installed tests/requirements.txt
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python -r tests/requirements.txt
	touch $@

# The wheel is built once, for $(VENV); the stable ABI lets any CPython from 3.10 on use it.
$(OLDEST)/installed: $(VENV)/tools
	$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(OLDEST)
	$(VENV)/bin/uv pip install --quiet --python $(OLDEST)/bin/python -r tests/requirements.txt 'crewai[a2a]==$(CREWAI_OLDEST)'
	$(VENV)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --no-deps --reinstall-package sealwire ./python
	touch $@

$(WHEELS)/tools: $(VENV)/uv tests/wheels/requirements.txt
	$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(WHEELS)
	$(VENV)/bin/uv pip install --quiet --python $(WHEELS)/bin/python -r tests/wheels/requirements.txt
	touch $@

.PHONY: clean
clean: ## Remove what these commands made.
	rm -rf dist target fuzz/target tests/constant-time/target $(VENV) $(OLDEST) $(WHEELS)
