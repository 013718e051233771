# Tasks of a developer: `just --list`. They need what `pip install -c constraints.txt -e '.[dev]'` installs, `just` itself
# included, and find it beside `just` when the environment is not active. Continuous integration (.ci/run) runs the same.

export PATH := parent_directory(just_executable()) + PATH_VAR_SEP + env("PATH")

# One BLAS thread in each of two test processes: faster than competing for two cores, and reproducible to the last digit.

export OMP_NUM_THREADS := "1"
export OPENBLAS_NUM_THREADS := "1"

[private]
default:
    @just --list

# Test modules that take seconds each; every package has faster ones too.

long := "
cli/test_main.py cli/test_monitor.py cli/test_terminal.py cohort/test_folds.py cohort/test_select.py
describe/test_magnesium.py evaluate/test_calibrators.py evidence/test_association.py evidence/test_robustness.py
explain/test_agnostic.py explain/test_for_shap.py model/test_additive.py model/test_calibrated_classifier.py
model/test_coverage.py model/test_estimators.py model/test_imputation.py model/test_refit.py model/test_train.py
model/trees/test_document.py nhanes/test_codebook.py nhanes/test_synthetic.py own_data/test_explain.py
own_data/test_external.py pipeline/test_closure.py pipeline/test_incremental.py pipeline/test_workers.py report/sections/test_association.py
report/sections/test_checks_order.py report/sections/test_drivers.py report/sections/test_performance_figures.py
report/test_content.py report/test_headline.py report/test_model_card.py report/test_render.py
score/csv/test_instructions.py score/test_batch.py score/test_batch_few_people.py score/test_batch_rows.py
score/test_column_names_commands.py score/test_formulas.py score/test_input_schema.py score/test_parts.py
score/test_parts_odd_folders.py score/test_person_rows.py score/test_sources.py storage/test_lock.py
test_machine_code.py test_metrics.py track/test_served_requests.py
"

# Tests of every package in under 90 seconds on two cores, without NHANES
test-fast *options:
    python -m pytest -n 2 -m "not slow and not spark and not nhanes" tests/unit \
        {{ prepend("--ignore=tests/unit/", long) }} {{ options }}

# All tests except those marked slow or spark: six to ten minutes
test *options:
    python -m pytest -n 2 {{ options }}

# By default xdist starts the files with the most tests; here the files with few tests take longest.

# Simulations and whole pipelines: half an hour
test-slow *options:
    python -m pytest -n 2 -m "slow and not spark" --no-loadscope-reorder {{ options }}

# Spark in local mode; needs `pip install -e '.[spark]'` and Java 17
test-spark:
    python -m pytest -m spark

# Style, types, imports between packages, security
lint:
    ruff check .
    ruff format --check .
    mypy
    lint-imports
    bandit --quiet --recursive src --configfile pyproject.toml

# The documentation site, in FOLDER
docs folder="site":
    mkdocs build --quiet --site-dir {{ quote(folder) }}

# Speed and memory of reading, explaining and scoring, compared with a careful user's own code; on a quiet machine
bench:
    python benchmarks/read_xpt.py
    python benchmarks/explain.py
    python benchmarks/score.py
