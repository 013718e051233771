# Tasks of a developer: `just --list`. They need what `pip install -c constraints.txt -e '.[dev]'` installs, `just` itself
# included, and find it beside `just` when the environment is not active. Continuous integration (.ci/run) runs the same.

export PATH := parent_directory(just_executable()) + PATH_VAR_SEP + env("PATH")

# One BLAS thread in each of two test processes: faster than fighting for two cores, and the same sums each time.

export OMP_NUM_THREADS := "1"
export OPENBLAS_NUM_THREADS := "1"

[private]
default:
    @just --list

# Modules whose tests take seconds each; every package has others.

long := "
report/test_content.py report/test_headline.py report/test_model_card.py report/test_render.py
report/sections/test_checks_order.py report/sections/test_drivers.py report/sections/test_performance_figures.py
score/test_batch_few_people.py score/test_batch_rows.py score/test_formulas.py score/test_parts.py
score/csv/test_instructions.py cli/test_main.py evaluate/test_calibrators.py explain/test_agnostic.py
model/test_calibrated_classifier.py model/test_coverage.py describe/test_magnesium.py own_data/test_explain.py
own_data/test_external.py track/test_served_requests.py test_machine_code.py
"

# Tests of every package in under 90 seconds on two cores, without NHANES
test-fast *options:
    python -m pytest -n 2 -m "not slow and not spark and not nhanes" tests/unit tests/architecture \
        {{ prepend("--ignore=tests/unit/", long) }} {{ options }}

# All tests but those marked slow or spark: six to ten minutes
test *options:
    python -m pytest -n 2 {{ options }}

# xdist begins the files of many tests first; here those of a few tests take longest, and would be waited for.

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

# Speed and memory of reading, explaining and scoring, beside what a careful user would write; on a quiet machine
bench:
    python benchmarks/read_xpt.py
    python benchmarks/explain.py
    python benchmarks/score.py
