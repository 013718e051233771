"""Step `evidence`: associations of magnesium, estimated from the raw tables."""

from __future__ import annotations

from mgrisk.evidence.chapter import chapter
from mgrisk.evidence.people import read_people
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def estimate(workspace: Workspace, store: Store) -> str:
    """Estimate the associations of the chapter and write them as flat records."""
    settings = workspace.pipeline.cohort
    chosen = workspace.pipeline.evidence
    assert chosen is not None
    people = read_people(store, (*settings.development, *settings.held_out))
    found = chapter(people, outcomes=chosen.outcomes, youngest=settings.minimum_age)
    records = [record.to_dict() for record in found]
    workspace.run.write_records(names.EVIDENCE, records)
    lacking = sum(bool(record["problem"]) for record in records)
    return f"{len(records)} estimates, {lacking} could not be made"


STEP = Step(
    "evidence",
    inputs=(names.TABLES,),
    outputs=(names.EVIDENCE,),
    settings=("cohort", "evidence"),
    raw=True,
    wanted=lambda pipeline: pipeline.evidence is not None,
    action=lambda workspace: estimate(workspace, workspace.store),
)
