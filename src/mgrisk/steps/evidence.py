"""The station that writes evidence.json: the chapter on magnesium, from the raw tables of the run's own cycles."""

from __future__ import annotations

from mgrisk.evidence.association import associate
from mgrisk.evidence.people import build_panel, panels, read_people
from mgrisk.nhanes.store import Store
from mgrisk.steps.workspace import Workspace


def estimate(workspace: Workspace, store: Store) -> str:
    """Estimate the associations of the chapter and write them as flat records."""
    settings = workspace.pipeline.cohort
    chosen = workspace.pipeline.evidence
    assert chosen is not None
    people = read_people(store, (*settings.development, *settings.held_out))
    records = []
    for name in panels(chosen.outcomes):
        panel = build_panel(people, name, outcomes=chosen.outcomes, youngest=settings.minimum_age)
        records += [record.to_dict() for record in associate(panel)]
    workspace.write_records("evidence.json", records)
    lacking = sum(bool(record["problem"]) for record in records)
    return f"{len(records)} estimates, {lacking} could not be made"
