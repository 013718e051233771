"""Step `cohort`: compute features and select people from raw NHANES tables, with attrition and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mgrisk.cohort import leaks, select, targets
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.cohort.weights import shares
from mgrisk.errors import MgRiskError, bad_source
from mgrisk.features import compute
from mgrisk.features.compute import from_nhanes
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.eras import Break, check_comparable, equation_sources
from mgrisk.nhanes.harmonise import apply_crosswalks
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names


def selection_variables(workspace: Workspace) -> tuple[str, ...]:
    """Return the NHANES variables that the selection of people needs."""
    cohort, outcome = workspace.pipeline.cohort, workspace.outcome
    names = select.required_variables(outcome, workspace.model_features, (cohort.development, cohort.held_out))
    learned = targets.required_variables(outcome, workspace.pipeline.model.targets, cohort.development)
    return tuple(dict.fromkeys((*names, *learned, *equation_sources(cohort.crosswalks))))


def refuse_misuse(workspace: Workspace) -> tuple[Break, ...]:
    """Refuse leaking features, and pooling across changes in question or method; return the allowed changes.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, or that of `eras.check_comparable`.
    """
    leaks.refuse_leaks(workspace.outcome, workspace.model_features)
    settings = workspace.pipeline.cohort
    learned = workspace.pipeline.model.targets
    names = [*(feature.name for feature in workspace.all_features), *workspace.outcome.variables, *learned]
    years = [each.years for each in workspace.cycles]
    return check_comparable(
        names, years, across_breaks=frozenset(settings.across_breaks), crosswalks=frozenset(settings.crosswalks)
    )


def make_cohort(workspace: Workspace, store: Store) -> str:
    """Read raw tables; write features, cohort, attrition and the provenance of the tables."""
    harmonised = gather(
        store,
        cycles=workspace.cycles,
        chosen=workspace.read_features,
        names=selection_variables(workspace),
    )
    if harmonised.synthetic and not workspace.synthetic:
        raise bad_source(
            "cohort.synthetic_source",
            "the tables are SYNTHETIC, but the pipeline expects NHANES",
            where=str(store.source),
            hint="run pipelines/demo.toml, which labels its results SYNTHETIC, or name the real tables",
        )
    settings = workspace.pipeline.cohort
    crossed = refuse_misuse(workspace)
    raw = apply_crosswalks(harmonised.frame, settings.crosswalks)
    cohort = select.select(
        raw,
        outcome=workspace.outcome,
        chosen=workspace.model_features,
        development=settings.development,
        held_out=settings.held_out,
        minimum_age=settings.minimum_age,
    )
    computed = from_nhanes(raw, workspace.read_features)
    models = fit_features(workspace, cohort, computed)
    computed = from_nhanes(raw, workspace.all_features, models=models)
    computed.insert(0, KEY, raw[KEY])
    used = [
        share
        for cycles_of_set in (settings.development, settings.held_out)
        for share in shares(cohort.level, cycles_of_set)
    ]
    learned = workspace.pipeline.model.targets
    return write_cohort(
        workspace,
        cohort,
        computed,
        models=models,
        behind=targets.measure_targets(raw, cohort.frame, learned, development=settings.development),
        tables=[table.to_dict() for table in harmonised.tables],
        about={
            "weight": " or ".join(dict.fromkeys(share.weight for share in used)),
            "breaks": [each.to_dict(applied=each.name in settings.crosswalks) for each in crossed],
            "absent": [table.to_dict() for table in harmonised.absent],
        },
    )


def write_cohort(
    workspace: Workspace,
    cohort: select.Cohort,
    computed: pd.DataFrame,
    *,
    models: compute.Models,
    behind: pd.DataFrame,
    tables: list[dict[str, Any]],
    about: Mapping[str, Any],
) -> str:
    """Write the files of a cohort from any source; return a line with the numbers of people.

    Parameters
    ----------
    workspace, cohort
        The run, and its people.
    computed
        Their features with SEQN, in the rows of the cohort.
    models
        The fitted feature models.
    behind
        Targets, as from `targets.measure_targets`.
    tables
        Source files: {cycle, table, rows, size, sha256, synthetic}.
    about
        Fields of cohort.json on weights and allowed changes.
    """
    workspace.run.write_frame(names.FEATURES, computed)
    workspace.run.write_frame(names.COHORT_PEOPLE, cohort.frame)
    workspace.run.write_frame(names.TARGETS, behind)
    workspace.run.write_object(names.FITTED_FEATURES, {"models": compute.to_dict(models)})
    workspace.run.write_records(names.ATTRITION, [step.to_dict() for step in cohort.attrition])
    workspace.run.write_records(names.TABLES, tables)
    workspace.run.write_object(
        names.COHORT,
        {
            "weight_level": str(cohort.level),
            "forced_by": cohort.forced_by,
            **about,
            "outcome": workspace.outcome.model_dump(mode="json"),
        },
    )
    left = {step.set: step for step in cohort.attrition}
    return ", ".join(f"{name}: {step.n:,} people, {step.events} cases" for name, step in left.items())


def fit_features(workspace: Workspace, cohort: select.Cohort, computed: pd.DataFrame) -> compute.Models:
    """Fit the feature models on the development people in the analysis, without outcomes."""
    of_set = (cohort.frame["set"] == DEVELOPMENT).to_numpy()
    _, design = select.design(cohort.frame, level=cohort.level, set_name=DEVELOPMENT)
    people = computed[of_set].reset_index(drop=True)
    models = compute.fit(people, design, workspace.all_features)
    try:
        return {**compute.fit(people, design, workspace.usual_magnesium), **models}
    except MgRiskError:
        # The risk model does not need usual intake, so that a single recall day is not an error; the what-if then uses
        # the recalled days.
        return models


STEP = Step(
    "cohort",
    "select the cohort and compute its features",
    inputs=(),
    outputs=names.OF_COHORT,
    logged=(names.COHORT, names.ATTRITION, names.TABLES),
    settings=MODEL,
    raw=True,
    wanted=lambda workspace: workspace.pipeline.own is None,
    action=lambda workspace: make_cohort(workspace, workspace.store),
)
