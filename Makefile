# Every target sees to its own set-up: what is missing on a Debian system is installed.

BRAIN =
FILTER =
PEER =
PYTHON = python3

.PHONY: help
help: ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: ## Translate a made-up CT into T1; results go to build/demo (from a brain of your own: BRAIN=t1.nii.gz)
	@.ci/setup $(if $(BRAIN),,mricron-data)
	swift run -c release --package-path Examples/CTToMRI CTToMRI demo $(if $(BRAIN),--anatomy '$(BRAIN)')

.PHONY: harmonise
harmonise: ## Bring a spoiled brain back to its own style, without a network; results go to build/harmonise
	@.ci/setup $(if $(BRAIN),,mricron-data)
	swift run -c release --package-path Examples/Harmonisation Harmonisation build/harmonise $(BRAIN)

.PHONY: ablation
ablation: ## Train the demonstration networks and measure what each part of the method adds (hours)
	@.ci/setup mricron-data
	Examples/CTToMRI/reproduce build/ablation

.PHONY: test
test: ## Run the tests (some of them: FILTER=VolumesTests)
	@.ci/setup
	swift test -c release -Xswiftc -enable-testing --disable-xctest $(if $(FILTER),--filter '$(FILTER)')

.PHONY: build
build: ## Build the voxelbridge command
	@.ci/setup
	swift build -c release --product voxelbridge

.PHONY: examples
examples: ## Run the examples that need no system library
	swift run -c release --package-path Examples/StandaloneSampler StandaloneSampler
	swift run -c release --package-path Examples/GaussianMixture GaussianMixture

.PHONY: bench
bench: ## Time the network (beside PyTorch: PEER=bench.py PYTHON=python)
	@.ci/setup
	swift run -c release benchmarks all \
		$(if $(PEER),--peer '$(PEER)' --python '$(PYTHON)')

.PHONY: lint
lint: ## Check the layout of the code
	swift format lint --strict --recursive Package.swift Sources Tests Examples

.PHONY: format
format: ## Lay out the code
	swift format --in-place --recursive Package.swift Sources Tests Examples

.PHONY: clean
clean: ## Remove all that was built
	rm -rf .build build Examples/*/.build
