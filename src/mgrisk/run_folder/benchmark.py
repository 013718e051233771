"""Benchmark other models on the people, folds, weights and held-out cycle of a finished run.

An entry has a risk for each person: for development people from a model not fitted on their fold, and for held-out
people from a model not fitted on any of them. It is compared with mgrisk's model and with recalibrated published scores
on the people with a risk. Findings report how many people have no risk, and the effect of excluding them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort import select
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT, PREDIABETES
from mgrisk.config.toml import rows as facts
from mgrisk.errors import bad_input
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.nhanes.codebook import KEY
from mgrisk.riskscores.scores import Method
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.types import Booleans, Floats

RISK: Final = "risk"
METRICS: Final = (
    "auroc", "auprc", "brier_scaled", "log_loss", "calibration_slope", "observed_expected", "ici",
    "net_benefit@0.05", "net_benefit@0.1",
)  # fmt: skip
RIVALS: Final = tuple(f"{score}:{Method.LOGISTIC}" for score in ("ada", "findrisc", "ausdrisk"))
PEOPLE: Final = [KEY, "set", "fold", "stratum", "psu", "weight", "outcome"]
LABEL_KNOWN: Final = 0.97
"""An AUROC too high for a questionnaire, which suggests that the marker of the outcome is among the inputs."""
RIGHT: Final = (0.8, 1.25)
"""Range of observed/expected for risks that are calibrated probabilities in these people."""


@dataclass(frozen=True, eq=False)
class Task:
    """The prediction task of a run.

    Attributes
    ----------
    run
        A run that has been evaluated.
    """

    run: RunFolder

    @cached_property
    def people(self) -> pd.DataFrame:
        """All people in the analysis: SEQN, set, fold (-1 for held-out people), stratum, psu, weight, outcome."""
        cohort = self.run.frame(names.COHORT_PEOPLE)
        inside = cohort[cohort["analysis"]]
        folds = self.run.frame(names.FOLDS)[[KEY, "fold"]]
        found = inside.merge(folds, on=KEY, how="left", validate="one_to_one")
        found["fold"] = found["fold"].fillna(-1).astype("int64")
        return found[PEOPLE].sort_values(KEY, ignore_index=True)

    @property
    def digest(self) -> str:
        """sha256 of `people`, which identifies the task."""
        return hashlib.sha256(self.people.to_csv(index=False, lineterminator="\n").encode()).hexdigest()

    @property
    def is_frozen(self) -> bool:
        """Whether it is the task of the published leaderboard."""
        return self.digest in {task["sha256"] for task in facts("mgrisk.run_folder", "benchmark_tasks.toml", "task")}


@dataclass(frozen=True)
class Finding:
    """A warning about the metrics of an entry.

    Attributes
    ----------
    code
        ``people_left_out``, ``others``, ``not_probabilities``, ``learned_from_evaluated`` or ``label_known``.
    set
        The set of people that it is about; empty for both.
    sentence
        The text.
    """

    code: str
    set: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Entered:
    """An evaluated entry, compared with the other models.

    Attributes
    ----------
    name
        Name of the entry.
    metrics
        One row per set, model and metric, on the people with a risk in the entry.
    differences
        Entry minus each other model, paired: model, reference, and the columns of `metrics`.
    findings
        Warnings about the metrics.
    """

    name: str
    metrics: pd.DataFrame
    differences: pd.DataFrame
    findings: tuple[Finding, ...]

    def frame(self) -> pd.DataFrame:
        """Return the metrics."""
        return self.metrics

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{escape(each.set)} {escape(each.sentence)}</li>" for each in self.findings)
        return f"{self.metrics.to_html(index=False)}{self.differences.to_html(index=False)}<ul>{said}</ul>"

    def __repr__(self) -> str:
        found = ", ".join(finding.code for finding in self.findings) or "nothing found"
        return f"<entry {self.name}: {len(self.metrics)} metrics; {found}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the tables as lists of records, and the findings."""
        tables = {"metrics": self.metrics, "differences": self.differences}
        rows = {name: each.astype(object).where(each.notna(), None).to_dict("records") for name, each in tables.items()}
        return {"entry": self.name, **rows, "findings": [vars(finding) for finding in self.findings]}


def enter(task: Task, name: str, entry: pd.DataFrame) -> Entered:
    """Evaluate an entry, and compare it with mgrisk's model and published scores on the same people.

    Parameters
    ----------
    task
        The task of a finished run.
    name
        Name of the entry.
    entry
        Columns SEQN and risk (probability, 0 to 1), one row per person; people not in the task are counted and ignored.

    Returns
    -------
    Entered

    Raises
    ------
    MgRiskError
        ``benchmark.missing_column``, ``benchmark.person_twice``, ``benchmark.bad_risk``; ``benchmark.nobody`` if it has
        no case or no non-case in either set.
    """
    risk = _checked(name, entry)
    metrics, differences, findings = [], [], []
    others = int((~risk.index.isin(task.people[KEY])).sum())
    if others:
        findings.append(Finding("others", "", f"{others:,} risks are for people who are not in the task: not used"))
    evaluated = {
        set_name: of_set for set_name in (DEVELOPMENT, HELD_OUT) if (of_set := _OfSet.of(task, set_name, risk))
    }
    if not evaluated:
        raise bad_input(
            "benchmark.nobody",
            "the entry does not have both cases and non-cases in any set",
            where=name,
            hint=f"give the {KEY} of people in the task: --people writes them",
        )
    for of_set in evaluated.values():
        replicates = replicate_metrics(of_set.y, {name: of_set.risk, **of_set.rivals}, of_set.design, metrics=METRICS)
        shown = {"set": of_set.label}
        metrics += [{**shown, **record} for record in replicates.records()]
        differences += [{**shown, **_turned(record)} for record in replicates.differences(name)]
        findings += of_set.left_out()
    findings += _of_figures(name, task.run.winner, metrics)
    columns = ["set", "model", "metric", "estimate", "low", "high", "n", "events", "problem"]
    return Entered(
        name,
        pd.DataFrame(metrics)[columns],
        pd.DataFrame(differences)[["set", "model", "reference", *columns[2:]]],
        tuple(findings),
    )


def _checked(name: str, entry: pd.DataFrame) -> pd.Series:
    """Return risks by SEQN, without missing ones."""
    for column in (KEY, RISK):
        if column not in entry:
            raise bad_input(
                "benchmark.missing_column",
                f"the entry has no column {column}",
                where=name,
                got=", ".join(map(str, entry.columns))[:200],
                hint=f"an entry has the columns {KEY} and {RISK}",
            )
    person = pd.to_numeric(entry[KEY], errors="coerce")
    if person.duplicated().any():
        raise bad_input(
            "benchmark.person_twice",
            f"{int(person.duplicated().sum())} rows are for people with another row",
            where=name,
            hint=f"give one risk for each {KEY}",
        )
    risk = pd.to_numeric(entry[RISK], errors="coerce")
    wrong = (risk.isna() & entry[RISK].notna()) | (risk < 0) | (risk > 1) | person.isna()
    if wrong.any():
        raise bad_input(
            "benchmark.bad_risk",
            f"{int(wrong.sum())} rows have no {KEY}, or a risk that is not a probability",
            where=f"{name}: row {int(np.argmax(wrong)) + 1}",
            expected="a number from 0 to 1, or an empty cell",
            hint="convert points of a questionnaire to risks first",
        )
    return pd.Series(risk.to_numpy(dtype=np.float64), index=person.to_numpy(dtype=np.int64)).dropna()


@dataclass(frozen=True, eq=False)
class _OfSet:
    """One set of the task, with the risks of the entry and of the other models."""

    label: str
    y: Floats
    whole: SurveyDesign
    design: SurveyDesign
    risk: Floats
    rivals: Mapping[str, Floats]
    rows: pd.DataFrame
    winner: str

    @classmethod
    def of(cls, task: Task, set_name: str, risk: pd.Series) -> _OfSet | None:
        """Return the set; None unless the entry has both cases and non-cases in it."""
        run = task.run
        level = WeightLevel(run.cohort.weight_level)
        rows, whole = select.design(run.frame(names.COHORT_PEOPLE), level=level, set_name=set_name)
        known = run.predictions
        placed = rows[[KEY]].merge(known[known["set"] == set_name], on=KEY, how="left", validate="one_to_one")
        of_entry = placed[KEY].map(risk).to_numpy(dtype=np.float64)
        design = whole.where(np.isfinite(of_entry))
        y = rows["outcome"].where(rows["analysis"], 0.0).to_numpy(dtype=np.float64)
        if not 0 < y[design.analysis_weight > 0].sum() < design.n:
            return None
        models = [run.winner, *(name for name in RIVALS if name in known)]
        return cls(
            label=CROSS_VALIDATED if set_name == DEVELOPMENT else run.held_out_name,
            y=y,
            whole=whole,
            design=design,
            risk=of_entry,
            rivals={name: placed[name].to_numpy(dtype=np.float64) for name in models},
            rows=rows,
            winner=run.winner,
        )

    def left_out(self) -> Iterator[Finding]:
        """Yield a finding on people without a risk: how many, who they are, and the effect of excluding them."""
        inside, has = self.whole.analysis_weight > 0, self.design.analysis_weight > 0
        if not (inside & ~has).any():
            return
        weight, case = self.whole.weight, self.y == 1.0

        def share(of: Booleans, among: Booleans) -> str:
            return f"{100 * np.average(of[among], weights=weight[among]):.0f} %" if among.any() else "none"

        said = [
            f"{int((inside & ~has).sum()):,} of {int(inside.sum()):,} people have no risk: "
            f"{share(~has, inside & case)} of cases, {share(~has, inside & ~case)} of non-cases"
        ]
        if PREDIABETES in self.rows:
            prediabetes, control = self.rows[PREDIABETES].to_numpy(dtype=np.bool_), inside & ~case
            said.append(
                f"{share(prediabetes, control & ~has)} of the excluded non-cases have prediabetes, and "
                f"{share(prediabetes, control & has)} of the remaining ones"
            )
        before, after = (
            replicate_metrics(self.y, {self.winner: self.rivals[self.winner]}, design, metrics=["auroc"]).records()[0]
            for design in (self.whole, self.design)
        )
        said.append(
            f"excluding them changes the AUROC of mgrisk's own model from {before['estimate']:.3f} to "
            f"{after['estimate']:.3f}"
        )
        yield Finding("people_left_out", self.label, "; ".join(said))


def _turned(record: Mapping[str, Any]) -> dict[str, Any]:
    """Reverse the sign of a difference, so that it is entry minus model."""
    turned = {"estimate": record["estimate"], "low": record["high"], "high": record["low"]}
    minus = {name: None if value is None else -value for name, value in turned.items()}
    return {**record, **minus, "model": record["reference"], "reference": record["model"]}


def _of_figures(name: str, winner: str, metrics: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield findings from the metrics themselves."""
    by = {(each["model"], each["metric"], each["set"]): each for each in metrics}
    sets = [set_name for model, metric, set_name in by if (model, metric) == (name, "auroc")]
    for set_name in sets:
        ratio = by[name, "observed_expected", set_name]
        if ratio["low"] > RIGHT[1] or ratio["high"] < RIGHT[0]:
            yield Finding(
                "not_probabilities",
                set_name,
                f"observed over expected is {ratio['estimate']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}): the "
                "risks are not calibrated for these people, as after oversampling, class weighting or overfitting, or "
                "with a model for another population; recalibrate them before using thresholds or net benefit",
            )
        if by[name, "auroc", set_name]["estimate"] > LABEL_KNOWN:
            yield Finding(
                "label_known",
                set_name,
                "an AUROC too high for a questionnaire: look for HbA1c, glucose or a medicine among the inputs",
            )
    if len(sets) < 2:
        return
    fall = {}
    for model in (name, winner):
        first, later = (by[model, "auroc", set_name] for set_name in sets)
        fall[model] = first["estimate"] - later["estimate"], np.hypot(first["se"], later["se"])
    if fall[name][0] - fall[winner][0] > 2 * np.hypot(fall[name][1], fall[winner][1]):
        yield Finding(
            "learned_from_evaluated",
            "",
            f"from the cross-validated to the held-out people AUROC falls by {fall[name][0]:.3f}, that of mgrisk's "
            f"model by {fall[winner][0]:.3f}: look for steps fitted before the folds were split off, such as "
            "oversampling, feature selection or imputation",
        )
