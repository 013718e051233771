"""mgrisk: calibrated, explained risk of type 2 diabetes from dietary magnesium and lifestyle, on public cohorts.

A research tool. It is not a medical device, and its output is not medical advice.
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
    from mgrisk.models import load_model as load_model
    from mgrisk.pipeline.benchmark import benchmark as benchmark
    from mgrisk.pipeline.finished import Run as Run
    from mgrisk.pipeline.finished import open_run as open_run
    from mgrisk.pipeline.run import run as run
    from mgrisk.run_folder.comparison import compare_runs as compare_runs
    from mgrisk.survey.folds import DesignKFold as DesignKFold

__version__ = "0.1.0"
_PUBLIC = {
    "DesignCalibratedClassifier": "mgrisk.model.calibrated_classifier",
    "DesignKFold": "mgrisk.survey.folds",
    "People": "mgrisk.cohort.load",
    "Run": "mgrisk.pipeline.finished",
    "benchmark": "mgrisk.pipeline.benchmark",
    "compare_runs": "mgrisk.run_folder.comparison",
    "load_model": "mgrisk.models",
    "load_nhanes": "mgrisk.cohort.load",
    "metrics": "mgrisk.metrics",
    "open_run": "mgrisk.pipeline.finished",
    "run": "mgrisk.pipeline.run",
    "survey": "mgrisk.survey",
}
"""Module of each public name, imported when the name is first used, so that `mgrisk --help` is fast."""
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mgrisk' has no attribute {name!r}")
    home = import_module(_PUBLIC[name])
    return home if home.__name__ == f"mgrisk.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
