"""Step `evidence`: associations of magnesium, estimated from the raw tables."""

from __future__ import annotations

from mgrisk.evidence.chapter import chapter
from mgrisk.evidence.people import read_people
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import Workspace


def estimate(workspace: Workspace, store: Store) -> str:
    """Estimate the associations of the chapter and write them as flat records."""
    settings = workspace.pipeline.cohort
    chosen = workspace.pipeline.evidence
    assert chosen is not None
    people = read_people(store, (*settings.development, *settings.held_out))
    found = chapter(people, outcomes=chosen.outcomes, youngest=settings.minimum_age)
    records = [record.to_dict() for record in found]
    workspace.write_records("evidence.json", records)
    lacking = sum(bool(record["problem"]) for record in records)
    return f"{len(records)} estimates, {lacking} could not be made"


STEP = Step(
    "evidence",
    inputs=("tables.json",),
    outputs=("evidence.json",),
    settings=("cohort", "evidence"),
    raw=True,
    wanted=lambda pipeline: pipeline.evidence is not None,
    action=lambda workspace: estimate(workspace, workspace.store),
)
