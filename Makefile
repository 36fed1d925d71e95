# A few verbs. Each makes what it needs in .venv and installs again only when pyproject.toml changed.
#
#   make demo    the whole job in a simulated country on this machine; no internet needed after the install
#   make test    the tests
#   make run     the same job on the real network: the Kazakh list, and a collector left running
#   make stop    stop that collector
#   make check   format, lint, types, import contracts
#   make generated   the pages, schema and dashboards that are made from the code
#   make oonidata   OONI's library in an environment of its own, for the test that reads our exports with it
#   make spark   Apache Spark, for the tests of the lake that ask it (they need Java 17 too)
#   make man     the manual pages, from the help of the commands
#   make deb     a Debian package of the probe, in dist/ (it is for this machine's release and processor)
#   make image   a container image of the probe, called qazprobe (needs docker or podman)
#   make screenshots   pictures of the collector's pages, in screenshots/ (needs Chromium)
#   make bench   the benchmarks (BENCH=--list names them, BENCH=NAME runs one)
#   make clean   remove what these verbs made (not what `make run` measured)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := collector,postgres,analytics,lake,raw,quic,ooni
LISTEN ?= 127.0.0.1:8080
PYTEST_ARGS ?= -q
TEST_PROCESSES ?= 2
NOW := $(shell date +%Y%m%dT%H%M%S)

.DEFAULT_GOAL := help
.PHONY: help demo test run stop check check-format check-mypy check-pyright generated oonidata spark man deb image screenshots bench clean

help:
	@sed -n 's/^#   //p' Makefile

# Debian and Ubuntu ship `venv` without the part that puts pip in; say which package has it.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: install a newer one and say: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[collector]'
	@touch $@

# Dependency groups (PEP 735) need pip 25.1.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]' --group dev
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@$(BIN)/qazprobe demo

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# What it measures stays in run/, which git ignores. The collector outlives this verb: `make stop`.
run: $(VENV)/.installed
	@mkdir -p run
	@$(BIN)/qazprobe consent
	@kill -0 "$$(cat run/collector.pid 2>/dev/null)" 2>/dev/null || { \
	  nohup $(BIN)/qazcollector serve --listen $(LISTEN) --store sqlite:///$(CURDIR)/run/collector.sqlite3 \
	    --enrolment open >>run/collector.log 2>&1 </dev/null & echo $$! >run/collector.pid; }
	@for try in 1 2 3 4 5 6 7 8 9 10; do \
	  $(BIN)/python -c 'import urllib.request as r; r.urlopen("http://$(LISTEN)/readyz", timeout=2)' 2>/dev/null && break; \
	  [ $$try -lt 10 ] || { echo "the collector did not start; see run/collector.log" >&2; exit 1; }; sleep 1; done
	@$(BIN)/qazprobe run --targets kz --collector http://$(LISTEN) -o run/records-$(NOW).jsonl
	@echo "Records: run/records-$(NOW).jsonl. The collector goes on at http://$(LISTEN)/ (metrics: /metrics); make stop ends it."

stop:
	@kill "$$(cat run/collector.pid 2>/dev/null)" 2>/dev/null && echo "stopped" || echo "no collector of make run is running"
	@rm -f run/collector.pid

# Two at a time with -j2: each of the type checkers has one processor busy.
check: check-format check-mypy check-pyright

check-format: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

check-mypy: $(VENV)/.installed-dev
	$(BIN)/mypy

check-pyright: $(VENV)/.installed-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

# What is made from the code and committed; tests fail when it is out of date.
generated: $(VENV)/.installed-dev
	$(BIN)/python -m tools.record_docs
	$(BIN)/python -m tools.rules_docs >docs/rules.md.new && mv docs/rules.md.new docs/rules.md
	$(BIN)/python -m tools.commands_docs
	$(BIN)/python -m tools.explanations_docs
	$(BIN)/python -m tools.catalogues
	$(BIN)/python -m dashboards.build

# It pins libraries that are too old for ours. It has no wheels of them for Python 3.13 on.
oonidata: $(VENV)/oonidata/.installed
$(VENV)/oonidata/.installed: | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/oonidata
	$(VENV)/oonidata/bin/python -m pip install --quiet --disable-pip-version-check oonidata==0.3.0
	@touch $@

# What the extra `spark` names, and not the project again: the checks may be reading it.
WANTED = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")
spark: $(VENV)/.installed-spark
$(VENV)/.installed-spark: $(VENV)/.installed-dev
	$(BIN)/python -c '$(WANTED)' >$@.wanted
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $@.wanted
	@mv $@.wanted $@

man: $(VENV)/.installed
	$(BIN)/python -m tools.man_pages

# Debian's own Python: the package's compiled modules are for the version that Debian installs.
deb: $(VENV)/.installed-dev man
	$(BIN)/python -m tools.debian_package --output dist

image:
	@engine=$$(command -v docker || command -v podman) || { echo "neither docker nor podman is here" >&2; exit 1; }; \
	  "$$engine" build --file packaging/container/Containerfile --tag qazprobe .

screenshots: $(VENV)/.installed-dev
	@$(BIN)/python -m tools.screenshots

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m bench $(BENCH)

clean:
	rm -rf $(VENV) dist build screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
