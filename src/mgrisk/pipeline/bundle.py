"""Step `bundle`: write the bundle of the chosen model, with its card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.model.bundle_files import PATTERNS
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.storage.files import to_json

OF_PATTERNS: Final = ("auroc", "calibration_slope", "observed_expected")
DIGITS: Final = {"auroc": 3, "observed_expected": 2}
"""Performance metrics in a bundle, with their digits on the card."""


def bundle(workspace: Workspace) -> str:
    """Write the bundle of the chosen model, with its card."""
    winner = workspace.run.winner
    trained = read_trained(workspace, winner)
    card = workspace.run.path(names.CARD).read_bytes()
    parts = {**trained.parts, names.CARD: card, **_patterns(workspace)}
    about = {**trained.about, **_performance(workspace, winner)}
    replace(trained, about=about, parts=parts).write(workspace.run.path(names.BUNDLE))
    return f"chosen: {winner}"


def _performance(workspace: Workspace, winner: str) -> dict[str, Any]:
    """Return the performance in held-out people; empty if a metric is not estimable."""
    found: dict[str, Any] = {}
    for record in workspace.run.evaluation.where(model=winner, group="all").rows:
        if record.metric in DIGITS and record.set != CROSS_VALIDATED and record.estimate is not None:
            values = (record.estimate, record.low, record.high)
            rounded = [None if value is None else round(value, DIGITS[record.metric]) for value in values]
            found |= {"set": record.set, record.metric: rounded}
    return {"performance": found} if found.keys() > DIGITS.keys() else {}


def _patterns(workspace: Workspace) -> dict[str, bytes]:
    """Return patterns.json, the performance with missing inputs; empty if no cycles were left out."""
    found: dict[str, dict[str, Any]] = {}
    for record in workspace.run.temporal.patterns:
        found.setdefault(record.pattern, {"absent": list(record.absent)})[record.metric] = record.estimate
    rows = [{name: row[name] for name in ("absent", *OF_PATTERNS)} for row in found.values()]
    return {PATTERNS: to_json(rows).encode()} if rows else {}


STEP = Step(
    "bundle",
    "write the model bundle",
    inputs=(names.TRAINED, names.TUNING, names.EVALUATION, names.CARD, names.TEMPORAL),
    outputs=(names.BUNDLE,),
    settings=DESCRIBED,
    action=bundle,
)
