# `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Tests and examples start hundreds of interpreters: they compile the project once, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

# The first interpreter that is new enough; PYTHON=… names another one. Each has an environment of its own.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
MEDIA := $(VENV)/.media-tests
STAMP := $(VENV)/.installed
NO_PYTHON := Reelmill needs Python 3.11 or later (Debian, Ubuntu: apt install python3-venv). PYTHON=path names one
ENVIRONMENT = $(or $(PYTHON),$(error $(NO_PYTHON))) tools/environment.py $(VENV)
# Tests run beside each other, more of them than there are cores: much of their time is waiting.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) * 2 )))

# A descriptor image of the protos as last released.
PROTO_BASELINE := protos/baseline.binpb
PLAYER := $(CURDIR)/.reelmill/player
WEB := $(CURDIR)/.reelmill/web
WEB_PACKAGES := @alicloud/pop-core@1.8.0 @bufbuild/protobuf@2.17.0 @connectrpc/connect@2.3.0 @connectrpc/connect-node@2.3.0 \
	@connectrpc/connect-web@2.3.0 esbuild@0.28.2 google-protobuf@4.0.3 grpc-web@2.1.1 playwright-core@1.65.1

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What only runs the service needs a third of what tests and checks need. An environment for those is good for it, too.
$(RUNTIME): pyproject.toml
	@[ $(STAMP) -nt pyproject.toml ] || $(ENVIRONMENT)
	@touch $@

$(MEDIA): pyproject.toml
	@[ $(STAMP) -nt pyproject.toml ] || $(ENVIRONMENT) media-tests
	@touch $(RUNTIME) $@

$(STAMP): pyproject.toml
	@$(ENVIRONMENT) dev
	@touch $(RUNTIME) $(MEDIA) $@

.PHONY: install
install: $(STAMP) ## make the environment with all tools

# Names of files reach the shell by the environment: they may contain whatever it or make would expand.
.PHONY: run
run: export QUICKSTART_SOURCE = $(value SRC)
run: $(RUNTIME) ## start the service, convert a clip (SRC=path: yours), show live progress, stop
	@$(BIN)/python examples/quickstart.py run --source "$$QUICKSTART_SOURCE"

.PHONY: serve
serve: export QUICKSTART_ROOT = $(value ROOT)
serve: $(RUNTIME) ## start the service here and leave it running (ROOT=folder: it may use that one, too)
	@$(BIN)/python examples/quickstart.py serve --root "$$QUICKSTART_ROOT"

.PHONY: cluster-demo
cluster-demo: $(STAMP) ## start a cluster on this machine, convert a batch, kill a worker, tell what happened
	@$(BIN)/python -m examples.cluster

.PHONY: test
test: $(STAMP) ## run the tests, but for clusters, slow ones and the further cells of tables (four minutes on two cores)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not cluster and not slow and not matrix and not toolchain" $(ARGS)

.PHONY: test-all
test-all: $(STAMP) ## run all tests, as CI does
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: test-media
test-media: $(MEDIA) ## run the media tests only (VENV=.venv312 PYTHON=python3.12: under another interpreter)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/media tests/golden $(ARGS)

.PHONY: test-player
test-player: $(STAMP) ## play a ladder in hls.js in Chromium (SCREENSHOT=file.png: a picture of it)
	@command -v chromium google-chrome >/dev/null || { echo "Chromium is not installed (Debian: apt install chromium)" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 1; }
	@npm install --prefix $(PLAYER) --no-fund --no-audit --silent hls.js@1.7.4
	REELMILL_PLAYER=$(PLAYER) REELMILL_SCREENSHOT='$(SCREENSHOT)' $(BIN)/python -m pytest tests/player $(ARGS)

.PHONY: test-web
test-web: $(STAMP) ## call the HTTP front with clients of npm, in Node and in Chromium
	@command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 1; }
	@npm install --prefix $(WEB) --no-fund --no-audit --silent $(WEB_PACKAGES)
	REELMILL_WEB=$(WEB) $(BIN)/python -m pytest tests/web $(ARGS)

.PHONY: test-console
test-console: $(STAMP) ## use the console in Chromium, and have axe look at its pages
	@command -v chromium google-chrome >/dev/null || { echo "Chromium is not installed (Debian: apt install chromium)" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 1; }
	@npm install --prefix $(PLAYER) --no-fund --no-audit --silent axe-core@4.14.1
	REELMILL_AXE=$(PLAYER) $(BIN)/python -m pytest -n 0 tests/console $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## 200 tasks while everything dies at random instants (TASKS=, SEED=, SECONDS=)
	$(BIN)/python -m tests.chaos $(if $(TASKS),--tasks $(TASKS)) $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

.PHONY: drivers
drivers: $(STAMP) ## 200 tasks on a simulated NVIDIA card that comes and goes (TASKS=, SEED=); needs a C compiler, libx264-dev, libx265-dev
	$(BIN)/python -m tests.drivers $(if $(TASKS),--tasks $(TASKS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: chaos-short
chaos-short: $(STAMP) ## the same in about a minute: 20 tasks, each kind of fault once (SEED=)
	$(BIN)/python -m tests.chaos --short --tasks 20 --patience 400 $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: upgrade-test
upgrade-test: $(STAMP) ## replace a cluster of an earlier version while it works, in both orders, and serve (OLD=commit)
	$(BIN)/python -m tests.upgrade $(if $(OLD),--old $(OLD)) $(ARGS)

.PHONY: upgrade-short
upgrade-short: $(STAMP) ## the same in one order, in a minute and a half
	$(BIN)/python -m tests.upgrade --form replicas $(ARGS)

.PHONY: fuzz
fuzz: $(STAMP) ## read 20,000 broken files in real children (CASES=, SEED=; REPLAY=file: one that was kept)
	$(BIN)/python -m tests.fuzz $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED)) $(if $(REPLAY),--replay $(REPLAY)) $(ARGS)

.PHONY: fuzz-short
fuzz-short: $(STAMP) ## 150 of them and 500 broken requests, always the same; none begins after 20 and 10 seconds
	$(BIN)/python -m tests.fuzz --cases 150 --seed 1 --seconds 20
	$(BIN)/python -m tests.fuzz.http --cases 500 --seed 1 --seconds 10

.PHONY: fuzz-http
fuzz-http: $(STAMP) ## send 20,000 broken requests to the HTTP front (CASES=, SEED=)
	$(BIN)/python -m tests.fuzz.http $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: fuzz-texts
fuzz-texts: $(STAMP) ## templates, selectors, tokens, playlists, requests under Atheris (Python 3.11 to 3.13; RUNS=)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	$(BIN)/python -m tests.fuzz.texts -runs=$(or $(RUNS),200000) -max_len=2000 $(ARGS)

.PHONY: sweep
sweep: $(STAMP) ## each container with each codec that goes into it, against the judge, and write docs/sweep.md
	$(BIN)/python -m tests.sweep --out docs/sweep.md $(ARGS)

.PHONY: sweep-short
sweep-short: $(STAMP) ## a twelfth of it, in half a minute
	$(BIN)/python -m tests.sweep --short $(ARGS)

.PHONY: conformance
conformance: $(STAMP) ## measure what of the contract works and write docs/conformance.md (MEDIA=folder: real files)
	REELMILL_REAL_MEDIA='$(MEDIA)' $(BIN)/python -m tests.conformance -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: check
check: $(STAMP) ## formatting, lint, types, import directions, protos, links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check
	$(BIN)/buf lint
	$(BIN)/buf breaking --against $(PROTO_BASELINE)
	$(BIN)/python docs/check_links.py

.PHONY: format
format: $(STAMP) ## put code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: protos
protos: $(STAMP) ## generate the Python modules of the protos
	$(BIN)/python protos/generate.py

.PHONY: protos-baseline
protos-baseline: $(STAMP) ## hold later protos to what these promise, at a release (fails if these break a promise)
	$(BIN)/buf breaking --against $(PROTO_BASELINE) && $(BIN)/buf build --exclude-source-info -o $(PROTO_BASELINE)

.PHONY: sdk
sdk: ## write stubs for C++, Java, Go, Ruby and TypeScript into .reelmill/sdk (LANGUAGES="go ruby": only these)
	@$(PYTHON) tools/sdk.py .reelmill/sdk $(LANGUAGES)

.PHONY: settings
settings: $(STAMP) ## write the tables of settings in docs/operating.md
	$(BIN)/python -m docs.write_settings

.PHONY: docs-check
docs-check: $(STAMP) ## run the commands in README and docs, as a reader would (PAGE=docs/clients.md: that one)
	@$(BIN)/python docs/run_commands.py $(PAGE)

.PHONY: screenshots
screenshots: $(STAMP) ## make the pictures of docs/terminal.md, of make run in a terminal, and of the console (Chromium), anew
	$(BIN)/python -m docs.make_terminal
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pyte>=0.8,<1'
	@$(BIN)/python docs/make_screenshots.py
	@$(BIN)/python -m docs.make_console

.PHONY: gallery
gallery: $(STAMP) ## make the pictures of docs/gallery.md anew
	$(BIN)/python -m docs.make_gallery

.PHONY: bench
bench: $(STAMP) ## compare whole tasks with the ffmpeg command line, in ratios (ARGS="remux small": only such cases)
	$(BIN)/python -m bench.tasks $(ARGS)

.PHONY: bench-cuts
bench-cuts: $(STAMP) ## cuts at the frame: judged on some 30 kinds of sources, or against full encodes (ARGS=sweep, ARGS=long)
	$(BIN)/python -m bench.cuts $(ARGS)

.PHONY: bench-small
bench-small: $(STAMP) ## small tasks: latency, tasks per second, two slots, idle (ARGS="latency --rounds 30": only that)
	$(BIN)/python -m bench.small $(ARGS)

.PHONY: bench-ratio
bench-ratio: $(STAMP) ## fail if a short conversion takes 25 % more of ffmpeg's CPU than it did (ARGS=--record: write what it takes)
	$(BIN)/python -m bench.ratio $(ARGS)

.PHONY: bench-growth
bench-growth: $(STAMP) ## how CPU and memory of a task grow with its length, targets and sources (ARGS="length --hours 10")
	$(BIN)/python -m bench.growth $(ARGS)

.PHONY: bench-pipeline
bench-pipeline: $(STAMP) ## compare the pipeline without the service with the ffmpeg command line, in ratios
	$(BIN)/python -m bench.transcode $(ARGS)
	$(BIN)/python -m bench.images $(ARGS)

.PHONY: capacity
capacity: $(STAMP) ## measure what attempts take here, and how near the estimates come (ARGS='--media film.mp4')
	$(BIN)/python -m bench.capacity $(ARGS)

.PHONY: dist
dist: $(RUNTIME) ## build packages of the protos, the client and the server, and a descriptor set, into dist/
	@$(BIN)/python tools/dist.py dist

.PHONY: dist-check
dist-check: dist ## install them in clean environments of each Python that is here, and convert a clip (2 GB, some minutes)
	@$(BIN)/python tools/dist_check.py dist

.PHONY: lock
lock: $(STAMP) ## renew the locks of the images, up to the Dockerfile's SNAPSHOT
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<1'
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/lock.py

.PHONY: image-check
image-check: ## build the images and use them (root, buildah, podman, debootstrap; ARGS=--keep: quicker next time)
	$(PYTHON) -m images.image_check $(if $(IMAGE_ROOT),--root '$(IMAGE_ROOT)') $(ARGS)

.PHONY: cluster-check
cluster-check: $(STAMP) ## manifests and chart against the schemas of two Kubernetes versions, and a cluster at hand
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'helm-python-sdk==0.2.2'
	REELMILL_NEEDS_HELM=1 $(BIN)/python -m pytest -n $(WORKERS) tests/k8s/test_manifests.py tests/k8s/test_chart.py tests/k8s/test_compose.py $(ARGS)
	$(BIN)/python -m tests.k8s.dry_run

.PHONY: clean
clean: ## remove environments and caches
	rm -rf .venv* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .reelmill
