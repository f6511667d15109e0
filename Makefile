# Every target installs what it needs on a Debian system.

BRAIN =
MODEL =
FILTER =
PEER =
PYTHON = python3
RUNS = 1000000
KILLS = 100

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: demo
demo: ## Translate a synthetic CT to T1; open build/demo/report.html (with another brain: BRAIN=t1.nii.gz)
	@.ci/setup $(if $(BRAIN),,mricron-data)
	swift run -c release --package-path Examples/CTToMRI CTToMRI demo $(if $(BRAIN),--anatomy '$(BRAIN)')

.PHONY: harmonise
harmonise: ## Restore the style of a degraded brain without a network; results are in build/harmonise
	@.ci/setup $(if $(BRAIN),,mricron-data)
	swift run -c release --package-path Examples/Harmonisation Harmonisation build/harmonise $(BRAIN)

.PHONY: ownpath
ownpath: ## Train on a process of your own, store it in a model file, and translate with it
	@.ci/setup
	swift run -c release --package-path Examples/OwnPath OwnPath

.PHONY: cohort
cohort: build ## Translate six subjects with Snakemake, killed in the middle, and validate (needs Python 3.11 and its venv)
	Examples/Cohort/check

.PHONY: latent
latent: ## Translate one source to three targets with a 3-D latent model of random weights
	@.ci/setup
	swift run -c release --package-path Examples/LatentTranslation LatentTranslationDemo

.PHONY: demo-latent
demo-latent: ## Translate a synthetic T1 to T2, FLAIR and proton density; results are in build/demo-latent (MODEL=..., BRAIN=...)
	@.ci/setup $(if $(BRAIN),,mricron-data)
	swift run -c release --package-path Examples/OneToMany OneToMany demo $(if $(MODEL),--model '$(MODEL)') $(if $(BRAIN),--anatomy '$(BRAIN)')

.PHONY: ablation
ablation: ## Train the demonstration networks and measure the effect of each part of the method (hours)
	@.ci/setup mricron-data
	Examples/CTToMRI/reproduce build/ablation

.PHONY: test
test: ## Run the tests (a selection: FILTER=VolumesTests)
	@.ci/setup
	swift test -c release -Xswiftc -enable-testing --disable-xctest $(if $(FILTER),--filter '$(FILTER)')

.PHONY: served
served: build ## Check client and server of networks with MLServer and Triton's client (from PyPI)
	.ci/remote

.PHONY: sanitize
sanitize: ## Run all tests with watched frames, and under the address, thread and undefined behaviour sanitizers (hours)
	@.ci/setup
	.ci/sanitize --all

.PHONY: fuzz
fuzz: ## Feed the readers of files with a million mutated files each (RUNS=1000000)
	@.ci/setup
	.ci/fuzz $(RUNS)

.PHONY: kill
kill: ## End the commands that .ci/kill lists at 100 random moments each (KILLS=100)
	@.ci/setup
	swift build -c release --product voxelbridge
	.ci/kill $(KILLS)

.PHONY: docs
docs: ## Check the documentation: that its links lead somewhere, and that its Swift compiles
	@.ci/setup
	Documentation/check
	.ci/outside

.PHONY: build
build: ## Build the voxelbridge command
	@.ci/setup
	swift build -c release --product voxelbridge

.PHONY: examples
examples: ## Run the examples that need no system library
	swift run -c release --package-path Examples/StandaloneSampler StandaloneSampler
	swift run -c release --package-path Examples/GaussianMixture GaussianMixture

.PHONY: bench
bench: ## Time the network (compared with PyTorch: PEER=bench.py PYTHON=python)
	@.ci/setup
	swift run -c release benchmarks all \
		$(if $(PEER),--peer '$(PEER)' --python '$(PYTHON)')

.PHONY: lint
lint: ## Check the format of the code
	swift format lint --strict --recursive Package.swift Sources Tests Examples .ci/prelude.swift

.PHONY: format
format: ## Format the code
	swift format --in-place --recursive Package.swift Sources Tests Examples .ci/prelude.swift

.PHONY: clean
clean: ## Remove all build products
	rm -rf .build build Examples/*/.build
