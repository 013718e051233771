"""Step `bundle`: the bundle of the chosen model, with its card."""

from __future__ import annotations

from dataclasses import replace

from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def bundle(workspace: Workspace) -> str:
    """Write the winner's bundle with its card."""
    winner = workspace.run.winner
    trained = read_trained(workspace, winner)
    card = workspace.run.path(names.CARD).read_bytes()
    replace(trained, parts={**trained.parts, names.CARD: card}).write(workspace.run.path(names.BUNDLE))
    return f"{winner} in {workspace.run.path('bundle')}"


STEP = Step(
    "bundle",
    inputs=(names.TRAINED, names.TUNING, names.CARD),
    outputs=(names.BUNDLE,),
    settings=DESCRIBED,
    action=bundle,
)
