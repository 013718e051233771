"""Run coverage-guided fuzzing of the inputs of mgrisk.

    pip install atheris
    python tools/fuzz_inputs.py xpt --seconds 3600 --corpus /tmp/corpus

The targets are in tests/fuzz/fuzz_targets.py. Inputs that reach new lines are kept in the corpus; an input that causes
a crash is saved beside it as `crash-…` and ends the run. docs/threat-model.md lists the findings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
# numba cannot compile instrumented functions: modules with compiled code are not instrumented.
COMPILED = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in (ROOT / "src").rglob("*.py")
    if "mgrisk.compiled import" in path.read_text("utf-8") or path.name in ("compiled.py", "machine_code.py")
]

sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
with atheris.instrument_imports(include=["mgrisk"], exclude=COMPILED):
    from fuzz_targets import TARGETS, seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("/tmp/mgrisk-fuzz"))
    asked = parser.parse_args()
    corpus = asked.corpus / asked.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds(asked.target)):
        (corpus / f"seed-{number}").write_bytes(content)
    options = [f"-max_total_time={asked.seconds}", f"-artifact_prefix={corpus}-", "-timeout=120", "-rss_limit_mb=4000"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[asked.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
