"""Step `bundle`: the bundle of the chosen model, with its card."""

from __future__ import annotations

from dataclasses import replace

from mgrisk.model.bundle import read_bundle
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace


def bundle(workspace: Workspace) -> str:
    """Write the winner's bundle with its card."""
    winner = workspace.read_json("tuning.json")["winner"]
    trained = read_bundle(workspace.path("trained") / winner)
    card = workspace.path("card.md").read_bytes()
    replace(trained, parts={**trained.parts, "card.md": card}).write(workspace.path("bundle"))
    return f"{winner} in {workspace.path('bundle')}"


STEP = Step(
    "bundle", inputs=("trained", "tuning.json", "card.md"), outputs=("bundle",), settings=DESCRIBED, action=bundle
)
