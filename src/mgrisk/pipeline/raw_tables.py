"""List the raw tables that a run reads, and refuse pipelines before reading them."""

from __future__ import annotations

from pathlib import Path

from mgrisk.evidence import what_if
from mgrisk.evidence.people import evidence_features, evidence_variables, panels
from mgrisk.features.registry import features
from mgrisk.features.summary import paths
from mgrisk.nhanes import food_patterns
from mgrisk.nhanes.eras import check_comparable
from mgrisk.nhanes.store import Store
from mgrisk.pipeline import cohort
from mgrisk.pipeline.cohort import selection_variables
from mgrisk.pipeline.incremental import label_variables
from mgrisk.pipeline.known import known_variables
from mgrisk.pipeline.workspace import Workspace


def tables(workspace: Workspace, store: Store) -> tuple[str, ...]:
    """Return the paths of the raw tables that the run reads, each once."""
    names = [*selection_variables(workspace), *known_variables(workspace)]
    chosen = workspace.all_features
    if workspace.pipeline.evidence:
        chosen = (*chosen, *evidence_features(), *features(what_if.FEATURES))
        names += evidence_variables([each.years for each in workspace.cycles])
        names += label_variables(workspace.model_features, workspace.pipeline.cohort)
    return paths(workspace.cycles, chosen, names, store=store)


def given_files(workspace: Workspace, store: Store) -> tuple[Path, ...]:
    """Return the source files that do not come from NHANES."""
    return tuple(path for each in workspace.cycles for path in food_patterns.files(store.food_patterns, each))


def refuse_misuse(workspace: Workspace) -> None:
    """Refuse a pipeline with leaking features, or that pools across a change in question or method.

    Raises
    ------
    MgRiskError
        Those of `cohort.refuse_misuse`, and of `eras.check_comparable`.
    """
    chosen = workspace.pipeline.evidence
    if chosen:
        years = [each.years for each in workspace.cycles]
        panels(chosen.outcomes)
        names = [*(feature.name for feature in evidence_features()), *evidence_variables(years)]
        names += label_variables(workspace.model_features, workspace.pipeline.cohort)
        check_comparable(names, years, across_breaks=frozenset(chosen.across_breaks))
    cohort.refuse_misuse(workspace)
