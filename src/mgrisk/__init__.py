"""mgrisk: calibrated, explained risk of type 2 diabetes from dietary magnesium and lifestyle, on public cohorts.

A research tool. It is no medical device and what it prints is no medical advice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgrisk.models import load_model as load_model
    from mgrisk.pipeline.finished import Run as Run
    from mgrisk.pipeline.finished import open_run as open_run
    from mgrisk.pipeline.run import run as run
    from mgrisk.run_folder.comparison import compare_runs as compare_runs

__version__ = "0.1.0"
_PUBLIC = {
    "compare_runs": "mgrisk.run_folder.comparison",
    "load_model": "mgrisk.models",
    "open_run": "mgrisk.pipeline.finished",
    "run": "mgrisk.pipeline.run",
    "Run": "mgrisk.pipeline.finished",
}
"""The public names, and the module of each: it is imported where the name is used, so that `mgrisk --help` is fast."""
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mgrisk' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
