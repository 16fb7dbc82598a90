# From a fresh clone to FINDINGS.pdf; `make` alone lists the targets.
# Written for GNU make 3.81 (macOS has no newer one) and a POSIX shell. Every path is relative and
# every Python tool is called as `python -m`, so the folder can be moved with its .venv.

.DEFAULT_GOAL := help
.SUFFIXES:

PY := .venv/bin/python
# What is installed: direct dependencies, and what they bring.
PINS := requirements.txt common/build/constraints.txt
# A copy of these, written last of all: .venv is complete.
VENV := .venv/requirements.txt

# QUICK=1: small experiments, everything under build/quick.
ifneq ($(filter-out 0,$(QUICK)),)
BUILD := build/quick
PDF := build/quick/FINDINGS.pdf
RUN := $(PY) -m common.build.execution --quick
TEX_SEARCH := build/quick:
# Small experiments may lack a result that the text names: FINDINGS.tex then prints a dash.
ALLOW_GAPS := printf '\\renewcommand{\\missing}[1]{--}\n' >build/quick/quick.tex
README :=
else
BUILD := build
PDF := FINDINGS.pdf
RUN := $(PY) -m common.build.execution
TEX_SEARCH :=
ALLOW_GAPS := :
# README.md repeats claims and numbers of all notebooks.
README := build/stamps/readme.done
endif

NOTEBOOKS := $(wildcard 0*_*/*.ipynb)
SECTIONS := $(patsubst %/,%,$(sort $(dir $(NOTEBOOKS))))
STAMPS := $(NOTEBOOKS:%.ipynb=$(BUILD)/stamps/%.done)
# Takes long, so it has a target of its own and no other runs it. The paper and README.md use
# what it left under results/ when it last ran.
ROBUSTNESS := $(filter %/robustness.done,$(STAMPS))
ROBUSTNESS_RESULTS := $(wildcard $(foreach type,tex json,\
  0*_*/results/robustness.$(type) $(BUILD)/0*_*/results/robustness.$(type)))
FIGURES := $(filter-out $(ROBUSTNESS),$(STAMPS))

.PHONY: help figures findings.pdf robustness reproduce check test mutants proofs lab html
.PHONY: check-html bench constraints clean tex browser
.PHONY: $(SECTIONS) $(SECTIONS:%=%/)
# Committed: never deleted, whatever becomes of its recipe.
.PRECIOUS: FINDINGS.pdf

help: ## list these targets
	@echo "make figures, make findings.pdf, ...   (QUICK=1: small runs under build/quick)"
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  %-34s %s\n", $$1, $$2 }' Makefile
	@for s in $(SECTIONS); do printf '  %-34s %s\n' $$s "the notebooks of this section"; done

figures: $(FIGURES) $(README) ## run every notebook that is out of date: figures and results

findings.pdf: $(PDF) $(README) ## the same, then FINDINGS.pdf
	@echo "$(PDF) is up to date"

robustness: $(ROBUSTNESS) ## every claim over seeds and training settings; no other target runs it
	@$(if $(README),$(PY) -m common.build.readme)

reproduce: $(VENV) ## two builds from clean: every committed file is compared byte for byte
	@$(PY) -m common.build.reproduce

check: $(VENV) ## linter, import directions, tests without kernel or long computation: a minute
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest -m "not slow"

test: check ## the same, then all other tests: every notebook in quick mode is one
	$(PY) -m pytest -m slow

mutants: $(VENV) ## mistakes put into copies, one at a time: does a test notice each?
	$(PY) tests/mutants/run.py

proofs: $(VENV) ## every theorem, proved again from scratch
	@mkdir -p build
	@for theorem in one_axis "smallest --table build/smallest.csv" hexagon rare; do \
	  $(PY) -m common.proofs.$$theorem || exit 1; done >build/proofs.txt || { cat build/proofs.txt; exit 1; }
	@cat build/proofs.txt
	@mv build/proofs.txt build/smallest.csv common/proofs/

lab: $(VENV) ## JupyterLab with this project's kernel
	JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab

# Always from the beginning: a page depends on whatever its notebook shows or links to.
html: $(VENV) ## notebooks and README.md as pages under build/html that need no network
	@$(PY) -m common.build.pages

check-html: html browser ## looks at every page in Chromium, without a network
	$(PY) -m pytest tests/browser

bench: $(VENV) ## speed against a plain reference
	$(PY) -m pytest tests/benchmarks

constraints: $(VENV) ## pin all that is in .venv beside requirements.txt, for later clones
	@sh common/build/setup.sh constraints

clean: ## remove what was built, never a committed file; .venv stays
	rm -rf build .pytest_cache .ruff_cache .hypothesis .benchmarks
	rm -f $(addprefix FINDINGS.,aux log out toc bbl blg fls fdb_latexmk synctex.gz)
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

# --- notebooks -----------------------------------------------------------------------------------

# The runner writes the stamp, and beside it the modules of common that the notebook imports.
$(STAMPS): $(BUILD)/stamps/%.done: %.ipynb $(PINS) | $(VENV)
	@$(RUN) $<

-include $(STAMPS:.done=.d)

build/stamps/readme.done: $(FIGURES) $(ROBUSTNESS_RESULTS) README.md common/build/readme.py
	@$(PY) -m common.build.readme
	@touch $@

# Each section is a target, also with the slash that a shell's completion adds.
define section
$(1): $$(filter $(BUILD)/stamps/$(1)/%,$$(FIGURES))
$(1)/: $(1)
endef
$(foreach s,$(SECTIONS),$(eval $(call section,$(s))))

# --- the paper -----------------------------------------------------------------------------------

# The two variables take today's date out of the file: same input, same bytes.
$(PDF): FINDINGS.tex $(FIGURES) $(ROBUSTNESS_RESULTS) | tex
	@rm -rf $(BUILD)/latex
	@mkdir -p $(BUILD)/latex
	@$(ALLOW_GAPS)
	@SOURCE_DATE_EPOCH=1767225600 FORCE_SOURCE_DATE=1 TEXINPUTS="$(TEX_SEARCH)$$TEXINPUTS" \
	latexmk -norc -pdf -interaction=nonstopmode -halt-on-error -file-line-error \
	  -outdir=$(BUILD)/latex FINDINGS.tex >$(BUILD)/latex/latexmk.txt 2>&1 </dev/null || { \
	  echo "LaTeX could not compile FINDINGS.tex:"; echo; \
	  grep -E -A 4 '^(!|[^ ]+:[0-9]+:)' $(BUILD)/latex/FINDINGS.log | head -n 20; echo; \
	  echo "The whole log is $(BUILD)/latex/FINDINGS.log"; exit 1; } >&2
	@mv -f $(BUILD)/latex/FINDINGS.pdf $@

# `make robustness findings.pdf`: the paper waits.
ifneq ($(filter robustness,$(MAKECMDGOALS)),)
$(PDF) $(README): $(ROBUSTNESS)
endif

# --- set-up --------------------------------------------------------------------------------------

# Without TeX there is no PDF: that is found out before anything is downloaded or computed. Waiting
# for it also keeps two apt-get from running at once under -j.
ifneq ($(filter findings.pdf $(PDF) reproduce,$(MAKECMDGOALS)),)
$(VENV): | tex
endif

$(VENV): $(PINS)
	@sh common/build/setup.sh python

tex:
	@sh common/build/setup.sh tex

browser: $(VENV)
	@sh common/build/setup.sh browser
