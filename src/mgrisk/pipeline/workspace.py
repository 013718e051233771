"""A pipeline with its run folder: settings, features and people for the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort import select
from mgrisk.cohort.folds import check_folds
from mgrisk.cohort.outcomes import NO_WARNING, Outcome, outcome
from mgrisk.cohort.targets import design_of
from mgrisk.config.pipeline_file import Pipeline
from mgrisk.features import compute
from mgrisk.features.compute import Models, complete, typed
from mgrisk.features.registry import FEATURES, Feature, features, with_ancestors, without
from mgrisk.model.learners import Target
from mgrisk.model.training_data import TrainingData
from mgrisk.nhanes.codebook import KEY, SYNTHETIC
from mgrisk.nhanes.cycles import Cycle, cycle
from mgrisk.nhanes.store import Store, default_cache, default_source
from mgrisk.riskscores.scores import KNOWN, RiskScore, load_score
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.types import Floats, Integers, Singles

if TYPE_CHECKING:
    from mgrisk.model.bundle import Bundle

REFERENCE: Final = "ada"
NHANES: Final = "NHANES"
AGE: Final = "age_years"  # the only eligibility rule of a cohort from a file


@dataclass(frozen=True)
class SetOfPeople:
    """All people of one set: design, outcome and completed features in the same rows.

    Attributes
    ----------
    rows
        Rows of cohort.parquet.
    design
        Full design; its domain is the analysis.
    y
        Outcome, shape (n,); 0 outside the analysis, where it has no weight.
    frame
        All features in use, completed.
    inside
        Indices of the people in the analysis.
    """

    rows: pd.DataFrame
    design: SurveyDesign
    y: Floats
    frame: pd.DataFrame
    inside: Integers

    def expanded(self, values: Floats) -> Floats:
        """Expand values of the analysed people to all rows, with NaN elsewhere, shape (n,)."""
        spread = np.full(len(self.design), np.nan)
        spread[self.inside] = values
        return spread

    def encoded(self, bundle: Bundle, frame: pd.DataFrame | None = None) -> Singles:
        """Encode the analysed people for a bundle, or their other values `frame`; NaN elsewhere, (n, n_columns)."""
        frame = self.frame if frame is None else frame
        X = np.full((len(frame), len(bundle.encoder.columns)), np.nan, dtype=np.float32)
        X[self.inside] = bundle.encode(frame.iloc[self.inside])[1]
        return X

    def risk(self, bundle: Bundle) -> Floats:
        """Return the risks of a bundle, shape (n,), NaN outside the analysis."""
        _, X = bundle.encode(self.frame.iloc[self.inside])
        return self.expanded(bundle.risk(X))


@dataclass(frozen=True, eq=False)
class OwnCandidate:
    """A classifier passed in Python, with its sha256 from `model.estimators.identity`."""

    estimator: Any
    identity: str


@dataclass(frozen=True)
class Workspace:
    """A pipeline and its run folder.

    Attributes
    ----------
    pipeline
        The checked pipeline file.
    folder
        The run folder.
    offline
        Whether downloads are disabled; a table that is not in the cache is an error.
    given
        Features in the file of a user's cohort; None for NHANES, which has all. It is passed in, so that the code of
        steps does not depend on how files are read.
    candidates
        Candidate classifiers, in addition to the models of the pipeline file, by name.
    """

    pipeline: Pipeline
    folder: Path
    offline: bool = False
    given: frozenset[str] | None = None
    candidates: Mapping[str, OwnCandidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.given is None) != (self.pipeline.own is None):
            raise ValueError("`given` must be set for a user's cohort, and only then")

    @cached_property
    def store(self) -> Store:
        """The store of raw tables."""
        if self.pipeline.synthetic is not None:
            # Real food patterns do not apply to made-up people.
            made = str(self.run.path(names.SYNTHETIC_TABLES))
            return Store(source=made, cache=default_cache(), offline=True, food_patterns=None)
        return Store(source=self.pipeline.source or default_source(), cache=default_cache(), offline=self.offline)

    @property
    def data_label(self) -> str:
        """Data label of every file: NHANES, SYNTHETIC or the name of a user's cohort."""
        if self.pipeline.own is not None:
            return self.pipeline.own.data
        return SYNTHETIC if self.pipeline.synthetic else NHANES

    @property
    def synthetic(self) -> bool:
        """Whether the people are made up."""
        return self.data_label == SYNTHETIC

    @property
    def outcome(self) -> Outcome:
        """The outcome; for a user's cohort with the definition in its pipeline file."""
        row, own = outcome(self.pipeline.cohort.outcome), self.pipeline.own
        if own is None:
            return row
        column = f"the column {own.outcome} of {Path(own.file).name}"
        changes: dict[str, Any] = {"definition": f"{row.definition}; here: {column}, taken for it"}
        if own.label:
            changes = {"definition": f"{own.definition}; {column}", "name": own.outcome, "label": own.label}
            # Eligibility for another outcome is unknown.
            changes |= {"citation": "", "warning": NO_WARNING, "eligible": (), "exclude": ()}
        if own.warning:
            changes["warning"] = own.warning
        return row.model_copy(update=changes)

    @property
    def model_features(self) -> tuple[Feature, ...]:
        """Features of the model, without excluded ones."""
        settings = self.pipeline.model
        return without(features(settings.features), settings.leave_out)

    @property
    def scores(self) -> tuple[RiskScore, ...]:
        """Published scores to compare with the model: all that apply to the outcome."""
        return tuple(load_score(name) for name in KNOWN if not self.why_no_score(name))

    def why_no_score(self, name: str) -> str:
        """Return why a published score is not evaluated; an empty text if it is."""
        cohort, score = self.pipeline.cohort, load_score(name)
        if self.given is None:
            level, _ = select.level_in_use(self.outcome, self.model_features, (*cohort.development, *cohort.held_out))
            return score.why_not(self.outcome, level)
        # A comparison with a score that lacks a question would be unfair.
        lacking = [feature.name for feature in features(score.features) if not self.has_feature(feature)]
        if lacking:
            return f"the file has no {', '.join(lacking)}"
        return score.why_not(self.outcome, max(WeightLevel, key=lambda level: level.rank))

    @property
    def reference(self) -> tuple[str, ...]:
        """The published score that other scores and models are compared with; empty if it cannot be evaluated."""
        return () if self.why_no_score(REFERENCE) else (REFERENCE,)

    def has_feature(self, feature: Feature) -> bool:
        """Return whether the data have a feature, or all inputs that it is derived from."""
        if self.given is None or feature.name in self.given:
            return True
        parents = features(feature.derived_from)
        return bool(parents) and not feature.derived_in_part and all(self.has_feature(parent) for parent in parents)

    @property
    def all_features(self) -> tuple[Feature, ...]:
        """Features of the model, of the published scores, and those they derive from."""
        of_scores = features(name for score in self.scores for name in score.features)
        eligibility = [AGE] if AGE in (self.given or ()) else []
        return with_ancestors((*self.model_features, *of_scores, *features(eligibility)))

    @property
    def usual_magnesium(self) -> tuple[Feature, ...]:
        """Usual magnesium and the inputs of its model, if the run reads recalls of magnesium; otherwise empty.

        Risks do not need it: the bundle has its model for the what-if options, whose dose depends on usual intake.
        """
        recalled, usual = features(["magnesium_food_mg", "usual_magnesium_mg"])
        return with_ancestors((usual,)) if recalled in self.all_features and self.has_feature(usual) else ()

    @property
    def read_features(self) -> tuple[Feature, ...]:
        """All features, and further inputs of the feature models."""
        return tuple(dict.fromkeys((*self.all_features, *self.usual_magnesium)))

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """The NHANES cycles of the run, development first."""
        cohort = self.pipeline.cohort
        return tuple(cycle(years) for years in (*cohort.development, *cohort.held_out))

    @property
    def held_out_name(self) -> str:
        """Name of the held-out set in records, for example 2017-2018."""
        return ", ".join(self.pipeline.cohort.held_out)

    @property
    def run(self) -> RunFolder:
        """The run folder, opened again to see files of the latest steps."""
        return RunFolder(self.folder, self.data_label)

    @property
    def models(self) -> Models:
        """The fitted feature models, from the run folder."""
        return compute.from_dict(self.run.fitted_features.models, self.all_features)

    def people(self, set_name: str) -> SetOfPeople:
        """Return one set of the cohort with its features."""
        run = self.run
        cohort = run.frame(names.COHORT_PEOPLE)
        level = WeightLevel(run.cohort.weight_level)
        rows, design = select.design(cohort, level=level, set_name=set_name)
        stored = run.frame(names.FEATURES)
        of_set = rows[[KEY]].merge(stored, on=KEY, how="left", validate="one_to_one")
        chosen = tuple(feature for feature in FEATURES.values() if feature.name in of_set)
        return SetOfPeople(
            rows=rows,
            design=design,
            y=rows["outcome"].where(rows["analysis"], 0.0).to_numpy(dtype=np.float64),
            frame=complete(typed(of_set, chosen), self.all_features, models=self.models),
            inside=np.flatnonzero(design.analysis_weight > 0),
        )

    def fold(self, people: SetOfPeople) -> Integers:
        """Return the fold of all development people, shape of the design, after checking that no PSU is split."""
        folds = self.run.frame(names.FOLDS)
        check_folds(folds, self.run.frame(names.COHORT_PEOPLE))
        merged = people.rows[[KEY]].merge(folds, on=KEY, how="left", validate="one_to_one")
        return merged["fold"].to_numpy(dtype=np.int64)

    def training_data(self, people: SetOfPeople) -> TrainingData:
        """Return the development people as training data."""
        return TrainingData(people.frame, people.y, people.design, self.fold(people), self.targets(people))

    def targets(self, people: SetOfPeople) -> tuple[Target, ...]:
        """Return the continuous targets of the development people for the ensembles of the pipeline."""
        measured = self.run.frame(names.TARGETS)
        return tuple(
            Target(name, "continuous", *design_of(name, measured, people.rows)) for name in self.pipeline.model.targets
        )
