"""Step `bundle`: the bundle of the chosen model, with its card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mgrisk.model.bundle_files import PATTERNS
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.storage.files import to_json

OF_PATTERNS: Final = ("auroc", "calibration_slope", "observed_expected")


def bundle(workspace: Workspace) -> str:
    """Write the winner's bundle with its card."""
    winner = workspace.run.winner
    trained = read_trained(workspace, winner)
    card = workspace.run.path(names.CARD).read_bytes()
    parts = {**trained.parts, names.CARD: card, **_patterns(workspace)}
    replace(trained, parts=parts).write(workspace.run.path(names.BUNDLE))
    return f"{winner} in {workspace.run.path('bundle')}"


def _patterns(workspace: Workspace) -> dict[str, bytes]:
    """Return patterns.json, where cycles were left out: how well the model does with some inputs absent."""
    found: dict[str, dict[str, Any]] = {}
    for record in workspace.run.temporal.patterns:
        found.setdefault(record.pattern, {"absent": list(record.absent)})[record.metric] = record.estimate
    rows = [{name: row[name] for name in ("absent", *OF_PATTERNS)} for row in found.values()]
    return {PATTERNS: to_json(rows).encode()} if rows else {}


STEP = Step(
    "bundle",
    inputs=(names.TRAINED, names.TUNING, names.CARD, names.TEMPORAL),
    outputs=(names.BUNDLE,),
    settings=DESCRIBED,
    action=bundle,
)
