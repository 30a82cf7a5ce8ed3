# The developer's commands. Each works in a clean checkout: it sets up what it needs.
.PHONY: run test check format pins faults sweep bench gallery condense-score
PY := .venv/bin/python
PYTEST := $(PY) -m pytest

run:  ## a whole week on sample content, in a sandbox; ONCE=1 ends by itself
	@.ci/setup
	@.venv/bin/weekbrief demo $(if $(ONCE),--once)

test:  ## every test, with real databases and a real browser
	@.ci/setup test
	@$(PYTEST) -n auto --dist loadfile

check:  ## lint, format, types
	@.ci/setup test
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

format:  ## mend what can be mended by itself
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

PIN := $(PY) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

pins:  ## write requirements*.txt anew from pyproject.toml, with hashes
	@$(PIN) --extra postgres --group dev pyproject.toml -o requirements-dev.txt
	@$(PIN) --extra postgres --group build -c requirements-dev.txt pyproject.toml -o requirements.txt

condense-score:  ## the condenser against labelled posts: LABELS=FILE POSTS=DIR
	@$(PY) benchmarks/condense_score.py --labels $(LABELS) --posts $(POSTS)

faults:  ## the fault matrix, row by row, with the tests that prove each
	@$(PY) -m tests.faults_matrix

sweep:  ## every crash point × every provider fault, with real kills: RUNS=10000 SEED=N
	@.ci/setup test
	@$(PY) -m tests.sweep --runs $(or $(RUNS),10000) $(if $(SEED),--seed $(SEED))

bench:  ## speed against bare baselines; minutes. QUICK=1 for seconds
	@.ci/setup test
	@$(PY) -m benchmarks.send $(if $(QUICK),--quick)
	@PYTHONPATH=. $(PY) benchmarks/merge.py
	@$(PY) -m benchmarks.leaving $(if $(QUICK),--each 10 --rounds 1)

gallery:  ## pictures of every golden letter on one page
	@.ci/setup test
	@$(PY) -m tests.golden.gallery
