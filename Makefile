# Every command of the project. `make` without a target lists them.

# It works with GNU make 3.81, which macOS has. That version ignores .SHELLFLAGS, so no recipe needs them.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

ENVIRONMENT_SUFFIX ?= dev
REGIONS ?= us-east-1
SERVICE_STAGE ?=
LAMBDA_ARCHITECTURE ?= arm64
BUILD_DIR ?= service/.aws-sam
export ENVIRONMENT_SUFFIX REGIONS SERVICE_STAGE LAMBDA_ARCHITECTURE BUILD_DIR

export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.venv-checks/bin
# Relative, because the checkout's path may have a space in it.
PY := .venv/bin/python
# Four processes use two cores well, because some of them always wait for Terraform.
PYTEST := $(PY) -m pytest --numprocesses=4 --no-loadscope-reorder

# Turn off telemetry, update checks, and jsii's warning about old Node releases.
export SAM_CLI_TELEMETRY := 0
export CHECKPOINT_DISABLE := 1
# The SAM CLI polls a deploy's status every second instead of every five.
export SAM_CLI_POLL_DELAY ?= 1
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 18,20,22
# Settings of other projects would change what these commands deploy, or where they look.
FOREIGN := $(filter TF_WORKSPACE TF_DATA_DIR TF_CLI_ARGS TF_CLI_ARGS_% TF_VAR_% CDKTF_CONTEXT_JSON \
	CDKTF_TARGET_STACK_ID CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS SYNTH_HCL_OUTPUT,$(.VARIABLES))
ifneq ($(FOREIGN),)
$(warning ignored, because it would change what is deployed: $(FOREIGN))
unexport $(FOREIGN)
endif
unexport CDPATH PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE PIP_USER PIP_REQUIRE_VIRTUALENV \
	PIP_TARGET PIP_PREFIX
# jsii, uv and SAM write to the home folder. Containers and CI often have none, or a read-only one.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo usable),usable)
export HOME := $(CURDIR)/.cache/home
$(shell mkdir -p "$(HOME)")
$(warning HOME cannot be written to: $(HOME) is used instead)
endif
# Programs start, load or read what lies in the folders above theirs, and under known names in the temporary
# folder. In /tmp, any user of the machine can leave it there.
export TMPDIR := $(HOME)/.cache/trading-platform/tmp
ifneq ($(shell mkdir -m 700 -p "$(TMPDIR)" && test -O "$(TMPDIR)" && test -w "$(TMPDIR)" && echo usable),usable)
$(error $(TMPDIR) cannot be used for temporary files: give yourself its folders, or set another HOME)
endif
# Every user of the machine can read the arguments of a command.
SHOWN := $(foreach name,GH_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN,\
	$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
ifneq ($(strip $(SHOWN)),)
$(error others can see what is after `make`: set it before, as in `$(firstword $(SHOWN))=… make`, and replace this one)
endif
# A job of a workflow signs in with these, before or after it makes something: no package needs them.
unexport ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_ID_TOKEN_REQUEST_URL
# Tests, campaigns and the certificate start makes of their own, which these are not for.
unexport MAKEFLAGS ARGS
# CDKTF's provider package is large. Without compiled files, each start takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE

##@ Start here

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n%s\n' "Variables: ENVIRONMENT_SUFFIX=$(ENVIRONMENT_SUFFIX) REGIONS=$(REGIONS) SERVICE_STAGE=$(SERVICE_STAGE) STATE=s3|local and the standard AWS_* ones"

.PHONY: setup
setup: .venv/.installed .venv-emulator/.installed ## Install what the project needs
	@local/prerequisites.sh node terraform mysql

##@ The platform on this machine

.PHONY: up
up: setup ## Start the platform, deploy both halves to it, and print a curl
	@$(PY) -m local.platform up

.PHONY: down
down: .venv/.installed ## Stop the platform (PURGE=1 also deletes its data)
	@$(PY) -m local.platform down

.PHONY: status
status: .venv/.installed ## Show what runs on this machine and where
	@$(PY) -m local.platform status

.PHONY: local-env
local-env: .venv/.installed ## Print the variables that send any tool to it: eval "$$(make local-env)"
	@$(PY) -m local.platform env

.PHONY: start-api
start-api: export LAMBDA_ARCHITECTURE := $(subst aarch64,arm64,$(shell uname -m))
start-api: export RDS_CA_BUNDLE := $(or $(RDS_CA_BUNDLE),$(or $(LOCAL_DIR),.local)/tls/ca.pem)
start-api: .venv/.installed build-service ## Serve the API with `sam local start-api` on port 3000 (needs Docker)
	@$(PY) -m local.start_api

##@ The platform team: infra/

.PHONY: bootstrap-state
bootstrap-state: tools ## Create the bucket and lock table for Terraform's states, once per account and region
	@$(PY) -m infra.commands.remote_state bootstrap

.PHONY: install-cdktf
install-cdktf: need-cdktf ## Install CDKTF's own program, cdktf, in .cache/cdktf/

.PHONY: migrate-state
migrate-state: tools ## Move states from STATE=local to the state bucket
	@$(PY) -m infra.commands.remote_state migrate

.PHONY: bootstrap-pipelines
bootstrap-pipelines: tools ## Create the roles of the pipelines on GitHub (GITHUB_REPOSITORY=owner/name)
	@$(PY) -m infra.commands.pipelines

.PHONY: github-settings
github-settings: ## Apply the repository's settings on GitHub (GITHUB_REPOSITORY=owner/name, GH_TOKEN)
	@python3 .github/settings.py apply

.PHONY: check-github-settings
check-github-settings: ## Compare the repository's settings on GitHub with .github/settings.toml
	@python3 .github/settings.py check

.PHONY: unlock-state
unlock-state: tools ## Release the lock that a killed Terraform left on a state (LOCK_ID=…)
	@$(PY) -m infra.commands.remote_state unlock

.PHONY: import-resource
import-resource: tools ## Import an existing resource into the state (ARGS="ADDRESS ID")
	@$(PY) -m infra.commands.terraform import -- $(ARGS)

.PHONY: synth
synth: tools ## Synthesize the Terraform stacks
	@$(PY) -m infra.main

.PHONY: plan
plan: tools ## Plan deploy-infra and judge the plan (OUT=folder saves it; ARGS=… for terraform)
	@$(PY) -m infra.commands.plan -- $(ARGS)

.PHONY: plan-comment
plan-comment: tools ## Print plan and cost as Markdown, for a comment (OUT=folder saves the plan)
	@$(PY) -m infra.commands.review

.PHONY: deploy-infra
deploy-infra: tools ## Apply the data platform (PLAN=folder: a saved plan)
	@$(PY) -m infra.commands.deploy

.PHONY: destroy-infra
destroy-infra: tools ## Destroy the data platform and its data; refused while a service uses it
	@$(PY) -m infra.commands.destroy

.PHONY: outputs
outputs: tools ## Print the outputs of both halves (NAME=output; JSON=1)
	@$(PY) -m infra.commands.outputs

.PHONY: cost
cost: tools ## Estimate the monthly cost of the environment and of each profile
	@$(PY) -m infra.commands.cost

.PHONY: policies
policies: tools ## Print the IAM policies of the deployers and the boundary of services' roles
	@$(PY) -m infra.commands.policies

##@ The app team: service/

.PHONY: build-service
build-service: .venv/.installed ## Build the Lambda artifacts (LAMBDA_ARCHITECTURE=arm64|x86_64)
	@$(PY) -m service.deploy.target
	@sam build --template-file service/template.yaml --config-file samconfig.toml \
		--build-dir "$(BUILD_DIR)/build" --cache-dir "$(BUILD_DIR)/cache" \
		--parameter-overrides LambdaArchitecture=$(LAMBDA_ARCHITECTURE)
	@$(PY) -m service.tools.rds_ca provide "$(BUILD_DIR)/build"

.PHONY: lock-rds-ca
lock-rds-ca: .venv/.installed ## Pin the RDS CA bundle that AWS publishes now
	@$(PY) -m service.tools.rds_ca lock

.PHONY: openapi
openapi: .venv/.installed ## Write service/openapi.json, and the Python client's operations from it
	@PYTHONPATH=service/src $(PY) -m service.tools.openapi
	@PYTHONPATH=service/src $(PY) -m service.tools.python_client

.PHONY: build-client
build-client: .venv/.installed ## Build the Python client's wheel in client/dist
	@uv build --quiet --no-config --offline --wheel --out-dir client/dist client
	@ls client/dist/*.whl

.PHONY: deploy-service
deploy-service: build-service ## Release the service (SERVICE_STAGE=name: as a preview)
	@$(PY) -m service.deploy.commands deploy

.PHONY: releases
releases: .venv/.installed ## List the releases of the service, and which is live
	@$(PY) -m service.deploy.commands releases

.PHONY: rollback-service
rollback-service: .venv/.installed ## Release the previous live version again (or TO=version)
	@$(PY) -m service.deploy.commands rollback

.PHONY: destroy-service
destroy-service: .venv/.installed ## Remove the service; its trades stay (SERVICE_STAGE: a preview and its data)
	@$(PY) -m service.deploy.commands delete

.PHONY: previews
previews: .venv/.installed ## List the previews with their age (JSON=1)
	@$(PY) -m service.deploy.previews

.PHONY: logs
logs: .venv/.installed ## Show what a function or the API logged (FUNCTION=name|api, SINCE=10m, REQUEST_ID=…, FOLLOW=1)
	@$(PY) -m service.deploy.logs

.PHONY: invoke
invoke: .venv/.installed ## Invoke a deployed function (EVENT=file, FUNCTION=name)
	@$(PY) -m service.deploy.commands invoke

##@ Quality

.PHONY: check-contract
check-contract: .venv/.installed ## Compare the contract with a git ref (BASE=…) or AGAINST=environment
	@$(PY) -m shared.contract.check

.PHONY: check-migration
check-migration: .venv/.installed ## Judge new migrations on a large table, under load (BASE=released commit, ROWS=1000000)
	@local/prerequisites.sh mysql
	@PYTHONPATH=service/src BASE="$(BASE)" ROWS="$(ROWS)" $(PY) -m local.migration_trial

.PHONY: certify
certify: setup tools ## Run, record and judge all that the platform asks of AWS; write docs/certificate.md
	@$(PY) -m certify $(ARGS)

.PHONY: drift
drift: tools ## Compare AWS, Terraform's state, the contract and the service; say who must act
	@status=0; $(PY) -m infra.commands.drift || status=$$?; $(PY) -m service.deploy.drift || status=$$?; exit $$status

.PHONY: check
check: .venv/.installed ## Lint and test both halves in three quarters of a minute: run it before each commit
	@local/prerequisites.sh node
	@$(MAKE) --silent lint-python lint-template lint-migrations
	@# Pure tests never wait, and every further process imports everything again. All tests of the
	@# ignored folders are slow.
	@$(PYTEST) --numprocesses=2 --quiet -m "pure and not slow" \
		--ignore=tests/platform --ignore=tests/faults

.PHONY: test
test: .venv/.installed ## Run all tests, or those in ARGS; installs what they need
	@local/prerequisites.sh node
	@$(PYTEST) --install $(or $(ARGS),--cov)

.PHONY: test-infra
test-infra: .venv/.installed ## Run the platform team's tests, without the slow ones
	@local/prerequisites.sh node
	@$(PYTEST) --install -m "not slow" tests/infra tests/shared tests/contract

.PHONY: test-service
test-service: .venv/.installed ## Run the app team's tests, without the slow ones
	@local/prerequisites.sh node
	@$(PYTEST) --install -m "not slow" tests/service tests/shared tests/contract

.PHONY: watch
watch: .venv/.installed ## Run the tests in ARGS each time a file is saved
	@$(PY) -m tests.support.watch $(ARGS)

# tests/conftest.py makes these for the tests with the same mark.
.PHONY: need-emulator need-database need-terraform need-cdktf need-browser need-platform
need-emulator: .venv-emulator/.installed need-database
need-database: ; @local/prerequisites.sh mysql
need-terraform: ; @local/prerequisites.sh terraform
need-cdktf: ; @local/prerequisites.sh node cdktf
need-browser: ; @local/prerequisites.sh chromium
need-platform: need-emulator need-terraform
.PHONY: need-checks need-cdktn need-bench need-load
need-checks need-cdktn need-bench need-load: need-%: .venv-%/.installed

.PHONY: audit
audit: .venv-checks/.installed ## Look up known vulnerabilities of all pinned packages at osv.dev
	@requirements/audit.sh requirements/*.txt service/dependencies/requirements.txt
	@$(PY) requirements/bill.py audit

.PHONY: bill-infra
bill-infra: .venv/.installed ## Print the bill of materials of infra/ (CycloneDX)
	@$(PY) requirements/bill.py infra

.PHONY: bill-service
bill-service: .venv/.installed ## Print the bill of materials of the functions (CycloneDX)
	@$(PY) requirements/bill.py service

.PHONY: test-fuzz
test-fuzz: export FUZZ := $(or $(FUZZ),full)
test-fuzz: setup ## Send more than 100,000 random hostile requests to the service
	@$(PY) -m pytest -p no:logging tests/service/test_hostile_input.py tests/service/test_openapi.py

.PHONY: load
load: .venv-load/.installed ## Book trades as fast as possible at an API (URL=…, USERS=10, SECONDS=30)
	@URL="$(URL)" USERS="$(USERS)" SECONDS="$(SECONDS)" MOST_ERRORS="$(MOST_ERRORS)" \
		PYTHONPATH=client .venv-load/bin/python -m benchmarks.load

.PHONY: test-migrations
test-migrations: .venv/.installed ## Run each migration of the corpus on a large table, under load (ROWS=1000000)
	@local/prerequisites.sh mysql
	@PYTHONPATH=service/src ROWS="$(ROWS)" $(PY) -m tests.migrations $(ARGS)

.PHONY: test-faults
test-faults: setup ## Book 50,000 trades while 200 faults strike (FAULTS=full|small, SEED=number)
	@FAULTS=$(or $(FAULTS),full) $(PY) -m pytest --quiet --capture=no tests/faults

.PHONY: test-mistakes
test-mistakes: setup need-cdktf need-checks ## Make more than 100 mistakes of operators, and count what they cost (ARGS=files, MISTAKES=write)
	@MISTAKES=$(or $(MISTAKES),full) $(PY) -m pytest --quiet --numprocesses=2 $(or $(ARGS),tests/mistakes)

.PHONY: format
format: .venv/.installed ## Format the Python code, and apply ruff's fixes
	@ruff check --quiet --fix --exit-zero .
	@ruff format .

.PHONY: lint
lint: lint-python lint-scripts lint-service lint-infra ## Lint, type-check and scan both halves

.PHONY: lint-python
lint-python: .venv/.installed
	@ruff check . || { echo "error: ruff found problems: \`make format\` mends those marked [*]" >&2; exit 1; }
	@ruff format --quiet --check . || { \
		echo "error: these files are not formatted: run \`make format\`" >&2; \
		ruff format --check . | grep "^Would reformat" >&2; exit 1; }
	mypy

.PHONY: lint-template
lint-template: .venv/.installed
	cfn-lint service/template.yaml

.PHONY: lint-migrations
lint-migrations: .venv/.installed
	$(PY) -m service.tools.migration_check

.PHONY: lint-scripts
lint-scripts: .venv-checks/.installed
	@local/prerequisites.sh shellcheck
	.venv-checks/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-checks/bin/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	.venv-checks/bin/zizmor --offline --quiet .github
	shellcheck local/*.sh tests/docker/*.sh requirements/*.sh .ci/run
	bandit --quiet --configfile pyproject.toml --recursive infra shared service/deploy service/tools service/src local docs

.PHONY: lint-service
lint-service: lint-template lint-migrations .venv-checks/.installed
	@local/prerequisites.sh mysql
	PYTHONPATH=service/src $(PY) -m local.migration_trial --small
	cd service && sam validate --lint --template-file template.yaml --region us-east-1
	.venv-checks/bin/checkov --file service/template.yaml --framework cloudformation \
		--skip-download --compact --quiet

.PHONY: lint-infra
lint-infra: tools .venv-checks/.installed
	$(PY) -m infra.commands.terraform validate
	REGIONS=$$($(PY) -c 'from shared.regions import REGIONS; print(*REGIONS, sep=",")') \
		$(PY) -m infra.commands.scan tests/infra/environments/*.toml

.PHONY: bench
bench: setup .venv-bench/.installed .venv-load/.installed build-service ## Measure the service and its peers in half an hour (ARGS=names of some)
	@PYTHONPATH=service/src $(PY) -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: setup .venv-bench/.installed build-service ## Measure the same roughly, in less than three minutes
	@PYTHONPATH=service/src $(PY) -m benchmarks --quick $(ARGS)

##@ Housekeeping

.PHONY: diagram
diagram: tools ## Draw docs/architecture.svg from both halves
	@$(PY) -m docs.diagram

COMPILE := uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate

.PHONY: lock
lock: .venv/.installed ## Pin the newest versions that requirements/*.in allow
	@for name in bootstrap dev emulator checks cdktn bench load; do \
		$(COMPILE) -o requirements/$$name.txt requirements/$$name.in || exit; \
	done
	@# Each half's own packages, in the versions of the tests.
	@for name in infra service; do \
		$(COMPILE) -c requirements/dev.txt -o requirements/$$name.txt requirements/$$name.in || exit; \
	done
	@# Lambda's runtime includes boto3 and its packages. Another botocore in the layer would not fit it.
	@$(COMPILE) $(addprefix --no-emit-package=,botocore python-dateutil six urllib3) \
		-o service/dependencies/requirements.txt service/dependencies/requirements.in

.PHONY: clean
clean: ## Delete virtual environments, build outputs and caches
	@rm -rf .venv .venv-emulator .venv-checks .venv-cdktn .venv-bench .venv-load .mypy_cache .ruff_cache \
		.pytest_cache .hypothesis .logs service/.aws-sam infra/cdktf.out infra/.gen client/dist
	@# What commands that were killed have left. Others may be running, in this clone or another one.
	@find "$(TMPDIR)" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +

.PHONY: tools
tools: .venv/.installed
	@local/prerequisites.sh node terraform

# For the workflows: they install one half's packages before they sign in.
.PHONY: install-infra install-service
install-infra:
	@$(MAKE) --silent REQUIREMENTS=infra tools
install-service:
	@$(MAKE) --silent REQUIREMENTS=service .venv/.installed

REQUIREMENTS := dev
.venv/.installed: requirements/bootstrap.txt requirements/$(REQUIREMENTS).txt
	@local/prerequisites.sh python
	@echo "Installing .venv"
	@python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@.venv/bin/uv pip sync --quiet --no-config --require-hashes --python .venv/bin/python \
		requirements/bootstrap.txt requirements/$(REQUIREMENTS).txt
	@touch $@

.venv-%/.installed: requirements/%.txt .venv/.installed
	@echo "Installing .venv-$*"
	@python3 -m venv .venv-$*
	@.venv/bin/uv pip sync --quiet --no-config --require-hashes --python .venv-$*/bin/python $<
	@touch $@
