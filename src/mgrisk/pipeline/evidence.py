"""Step `evidence`: associations of magnesium, and its incremental value for each outcome, from the raw tables."""

from __future__ import annotations

from collections.abc import Iterator

from mgrisk.evidence.chapter import chapter
from mgrisk.evidence.people import read_people
from mgrisk.evidence.records import Record
from mgrisk.features.compute import complete, from_nhanes
from mgrisk.features.registry import with_ancestors
from mgrisk.features.summary import gather
from mgrisk.nhanes.harmonise import apply_crosswalks
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.incremental import incremental_values, label_variables
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def estimate(workspace: Workspace, store: Store) -> str:
    """Estimate the associations of the chapter and the incremental value of magnesium; write flat records."""
    settings = workspace.pipeline.cohort
    chosen = workspace.pipeline.evidence
    assert chosen is not None
    people = read_people(store, (*settings.development, *settings.held_out))
    found = [*chapter(people, outcomes=chosen.outcomes, youngest=settings.minimum_age), *_added(workspace, store)]
    records = [record.to_dict() for record in found]
    workspace.run.write_records(names.EVIDENCE, records)
    lacking = sum(bool(record["problem"]) for record in records)
    return f"{len(records)} estimates, {lacking} could not be made"


def _added(workspace: Workspace, store: Store) -> Iterator[Record]:
    chosen, settings = workspace.model_features, workspace.pipeline.cohort
    family, wanted = with_ancestors(chosen), label_variables(chosen, settings)
    raw = gather(store, cycles=workspace.cycles, chosen=family, names=wanted).frame
    raw = apply_crosswalks(raw, settings.crosswalks)
    frame = complete(from_nhanes(raw, family), family, models=workspace.models)
    return incremental_values(raw, frame, chosen, workspace.pipeline)


STEP = Step(
    "evidence",
    "estimate associations of magnesium",
    inputs=(names.TABLES, names.FITTED_FEATURES),
    outputs=(names.EVIDENCE,),
    logged=(names.EVIDENCE,),
    settings=(*MODEL, "evidence"),
    raw=True,
    wanted=lambda workspace: workspace.pipeline.evidence is not None,
    action=lambda workspace: estimate(workspace, workspace.store),
)
