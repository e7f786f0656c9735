# Works with make 3.81 and any POSIX shell, so that a bare Mac will do.

# The interpreter that the environments are made with. 3.13 first, as it is what Lambda runs; named
# ones before `python3`, because the locks have ready-made wheels for these. PYTHON=... overrules it.
PYTHONS = python3.13 python3.14 python3.12 python3.11 python3
export PYTHON PYTHONS
# Each worker and each command that a test starts would otherwise compile the project again.
unexport PYTHONDONTWRITEBYTECODE

# Test files side by side; those of one file stay together, so that a deployed stack is shared. 0: no workers.
WORKERS ?= 2
# Many slow tests wait for the local AWS, whose clock is real.
SLOW_WORKERS ?= 3
TESTS ?= tests
PYTEST = .venv/bin/python -m pytest
# The largest files first would leave the simulator's, which hold few and long tests, for the end.
SPREAD = --dist loadfile --no-loadscope-reorder

SAM = .venv-sam/bin/sam
# The commit that a publication names as its source.
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
SAM_CLI_TELEMETRY ?= 0
export SAM_CLI_TELEMETRY

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-all soak lint lint-style lint-types lint-types-of-tests lint-imports lint-template format lock routes screenshots chromium simulate bench cost scale build deploy package publish dist clean tidy-functions name-the-bucket name-the-source

help: ## Show this list
	@echo "Punctual: something happens at that moment, to the second."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Start a local AWS and deploy (ONCE=1, PERSIST=1, DEMO=0, PORT=4566, PARAMETERS="PartitionCount=8")
	@.venv/bin/python -m punctual.local$(if $(filter-out 0,$(ONCE)), --once)$(if $(filter-out 0,$(PERSIST)), --persist)$(\
	)$(if $(filter 0,$(DEMO)), --no-demo)$(if $(PORT), --port '$(PORT)')$(foreach each,$(PARAMETERS), --parameter '$(each)')

test: .venv/dev.stamp .venv-sam/sam.stamp chromium ## Run the quick tests, about four minutes (TESTS=path, ARGS="-k word -x", WORKERS=0)
	@$(PYTEST) -m "not slow and not soak" -n $(WORKERS) $(SPREAD) $(ARGS) $(TESTS)

test-slow: .venv/dev.stamp .venv-sam/sam.stamp chromium ## Run the tests that are marked slow, about fifteen minutes
	@$(PYTEST) -m "slow and not soak" -n $(SLOW_WORKERS) $(SPREAD) $(ARGS) $(TESTS)

test-all: ## Run the quick tests, then the slow ones
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-slow

soak: .venv/dev.stamp .venv-sam/sam.stamp ## Run the tests that take longer
	@$(PYTEST) -m soak -s $(ARGS) $(TESTS)

# Five parts, so that `make -j2 lint` checks two at a time.
lint: lint-style lint-types lint-types-of-tests lint-imports lint-template ## Check style, types, imports and the template

lint-style: .venv/dev.stamp
	.venv/bin/ruff check
	.venv/bin/ruff format --check

lint-types: .venv/dev.stamp
	.venv/bin/mypy

# After the other, whose results it uses.
lint-types-of-tests: lint-types
	.venv/bin/mypy --config-file tests/mypy.ini

lint-imports: .venv/dev.stamp
	PYTHONPATH=functions .venv/bin/lint-imports --no-cache

lint-template: .venv/dev.stamp .venv-sam/sam.stamp
	.venv/bin/cfn-lint template.yml examples/*/template.yaml
	$(SAM) validate --lint --template-file template.yml

format: .venv/dev.stamp ## Lay the code out, and repair what can be repaired without thought
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

simulate: .venv/dev.stamp ## Run the simulator (SEEDS=1000, FIRST=12345; SEED=42 replays one)
	@.venv/bin/python -m simulator $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)$(if $(FIRST), --first $(FIRST)))

bench: .venv/run.stamp ## Measure calls, time and memory beside a plain boto3 loop (ARGS="--only feed --quick")
	@.venv/bin/python -m bench $(ARGS)

cost: .venv/run.stamp ## Count what a million schedules cost
	@.venv/bin/python bench/cost.py

scale: .venv/run.stamp ## Calculate which limit comes first (ARGS="--rate 100000 --pending 1e9 --partitions 256")
	@.venv/bin/python -m bench.scale $(ARGS)

build: .venv-sam/sam.stamp tidy-functions ## Build what deploy sends to AWS
	$(SAM) build --template-file template.yml

deploy: build ## Deploy to your AWS account (PARAMETERS="PartitionCount=8 LogLevel=WARN", STACK=name)
	$(SAM) deploy$(if $(STACK), --stack-name $(STACK))$(if $(PARAMETERS), --parameter-overrides $(PARAMETERS))

package: name-the-bucket name-the-source build ## Upload the code and write .aws-sam/published.json (BUCKET=name, SOURCE=https://...)
	$(SAM) package --s3-bucket $(BUCKET) --output-template-file .aws-sam/packaged.yml
	.venv-sam/bin/python tools/plain_template.py .aws-sam/packaged.yml .aws-sam/published.json $(WITHOUT)
	.venv-sam/bin/python -m tools.publishing.source .aws-sam/published.json $(SOURCE) $(COMMIT)
	.venv-sam/bin/python -m tools.publishing.sar .aws-sam/published.json

publish: package ## Publish to the Serverless Application Repository (as package; WITHOUT="RecursiveLoop ..." or all)
	$(SAM) publish --template .aws-sam/published.json

dist: .venv/run.stamp ## Build the files of a release (TAG=v1.0.0)
	@.venv/bin/python -m tools.publishing.dist dist $(TAG)

screenshots: .venv/dev.stamp chromium ## Take the screenshots of the console anew
	@.venv/bin/python -m tools.screenshots

lock: ## Make the locks anew from requirements/*.in (UPGRADE=1: with the newest versions)
	@requirements/lock.sh$(if $(filter-out 0,$(UPGRADE)), --upgrade)

routes: .venv/dev.stamp ## Derive the API in template.yml from openapi.json
	.venv/bin/python tools/api_definition.py

clean: tidy-functions ## Remove everything that was made here
	rm -rf .venv .venv-sam .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The browser tests drive the Chromium of the machine.
chromium:
	@requirements/chromium.sh

name-the-bucket:
	@test -n "$(BUCKET)" || { echo "Say where the package goes: BUCKET=name" >&2; exit 2; }

name-the-source:
	@test -n "$(SOURCE)" || { echo "Say where the public source is: SOURCE=https://github.com/owner/name" >&2; exit 2; }
	@test -n "$(COMMIT)" || { echo "This is no git checkout. Say which commit it is: COMMIT=40 digits" >&2; exit 2; }

# The code goes to Lambda as it lies there (SkipBuild in template.yml), and what tools left in it would go along.
tidy-functions:
	@find functions \( -name __pycache__ -o -name '.*_cache' -o -name .DS_Store \) -prune -exec rm -rf {} +

# The environments. A stamp says that one is complete: it is touched last, and without it, or when its lock is
# newer, the environment is made from nothing. So an install that was cut short is never mistaken for a whole one.

.venv/run.stamp: requirements/run.txt
	@echo "Setting up .venv (once; about half a minute) ..."
	@requirements/install.sh --new .venv requirements/run.txt
	@touch $@

# Adds to what `make run` has, which may be running: both locks hold the same versions of that. With a dev.stamp
# already here its lock has changed, and what fell out of it must not stay behind.
.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "Setting up .venv for tests and lint (once; about a minute) ..."
	@new=; if [ -e $@ ]; then new=--new; fi; rm .venv/run.stamp; requirements/install.sh $$new .venv requirements/dev.txt
	@touch .venv/run.stamp $@

.venv-sam/sam.stamp: requirements/sam.txt
	@echo "Setting up .venv-sam for the SAM CLI (once; about a minute) ..."
	@requirements/install.sh --new .venv-sam requirements/sam.txt
	@touch $@
