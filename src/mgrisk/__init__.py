"""mgrisk: calibrated, explained risk of type 2 diabetes from dietary magnesium and lifestyle, on public cohorts.

A research tool. It is no medical device and what it prints is no medical advice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgrisk.pipeline.run import Run, run
    from mgrisk.score.scorer import Scorer as Scorer
    from mgrisk.score.scorer import load_scorer as load_bundle

__version__ = "0.1.0"
__all__ = ["Run", "Scorer", "__version__", "load_bundle", "run"]


def __getattr__(name: str) -> object:
    # Heavy libraries are imported where they are used, so that `mgrisk --help` answers at once.
    if name in {"Run", "run"}:
        from mgrisk.pipeline import run

        return getattr(run, name)
    if name in {"Scorer", "load_bundle"}:
        from mgrisk.score import scorer

        return scorer.Scorer if name == "Scorer" else scorer.load_scorer
    raise AttributeError(f"module 'mgrisk' has no attribute {name!r}")
