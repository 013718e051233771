"""Compiled loops: each is kept on disk for one kind of arguments, whatever is scored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PEOPLE = Path(__file__).parents[2] / "data/examples/people.csv"
SCRIPT = """
import sys
from pathlib import Path
import pandas as pd
from mgrisk.model.bundle import released
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import load_scorer

people, folder = sys.argv[1], Path(sys.argv[2])
frame = pd.read_csv(people)
frame.to_parquet(folder / "people.parquet")
scorer = load_scorer(released("undiagnosed"))
scorer.score(frame), scorer.explain(frame)
for source in (people, folder / "people.parquet"):
    for target in ("out.csv", "out.parquet"):
        score_table(scorer, str(source), str(folder / target), BatchOptions(reasons=2), workers=2)
"""
OURS = {path.stem for path in (Path(__file__).parents[2] / "src/mgrisk").rglob("*.py")}


def test_each_loop_is_compiled_for_one_kind_of_arguments_only(tmp_path: Path) -> None:
    # Of two processes that compile a loop for two kinds at once, one would run the other's code.
    cache = tmp_path / "cache"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(PEOPLE), str(tmp_path)],
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    kept = [each.name for each in cache.rglob("*.nbc") if each.name.partition(".")[0] in OURS]
    assert {"read.read_rows", "tree_kernels.explain"} <= {name.partition("-")[0] for name in kept}
    assert [name for name in kept if not re.search(r"\.1\.nbc$", name)] == []
