"""mgrisk: calibrated, explained risk of type 2 diabetes from dietary magnesium and lifestyle, on public cohorts.

A research tool. It is no medical device and what it prints is no medical advice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgrisk import metrics as metrics
    from mgrisk import survey as survey
    from mgrisk.cohort.load import People as People
    from mgrisk.cohort.load import load_nhanes as load_nhanes
    from mgrisk.model.calibrated_classifier import DesignCalibratedClassifier as DesignCalibratedClassifier
    from mgrisk.pipeline.run import Run as Run
    from mgrisk.pipeline.run import run as run
    from mgrisk.score.scorer import Scorer as Scorer
    from mgrisk.score.scorer import load_scorer as load_bundle  # noqa: F401  # by another name
    from mgrisk.survey.folds import DesignKFold as DesignKFold

__version__ = "0.1.0"
_PUBLIC = {
    "DesignCalibratedClassifier": "mgrisk.model.calibrated_classifier",
    "DesignKFold": "mgrisk.survey.folds",
    "People": "mgrisk.cohort.load",
    "Run": "mgrisk.pipeline.run",
    "Scorer": "mgrisk.score.scorer",
    "load_bundle": "mgrisk.score.scorer",
    "load_nhanes": "mgrisk.cohort.load",
    "metrics": "mgrisk.metrics",
    "run": "mgrisk.pipeline.run",
    "survey": "mgrisk.survey",
}
"""The public names, and the module of each: it is imported where the name is used, so that `mgrisk --help` is fast."""
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mgrisk' has no attribute {name!r}")
    home = import_module(_PUBLIC[name])
    if home.__name__ == f"mgrisk.{name}":
        return home
    return getattr(home, "load_scorer" if name == "load_bundle" else name)


def __dir__() -> list[str]:
    return sorted(__all__)
