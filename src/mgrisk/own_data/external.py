"""`mgrisk evaluate` and `mgrisk recalibrate`: a bundle among other people than those it was made on.

A recalibrated bundle is evaluated on the same people cross-fitted: each fold of whole sampling units by the map of the
others. The share of cases among the same people sets its level, so that observed over expected is near 1 over all folds
whatever the model; what is told of it is how far it goes from 1 in single folds, and its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit

from mgrisk.cohort.outcomes import NO_WARNING
from mgrisk.config.checked import brief
from mgrisk.errors import usage
from mgrisk.evaluate.assess import CONTROLS, EXTERNAL, Assessment, assess
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.thresholds import RISKS
from mgrisk.features.compute import complete
from mgrisk.model.bundle import Bundle, is_bundle
from mgrisk.model.bundle_files import DRIFT
from mgrisk.model.recalibration import Method, recalibrate
from mgrisk.model.reference import RISK, describe, describe_numbers
from mgrisk.model.released import is_reserved
from mgrisk.own_data.labelled import LabelColumns, LabelledPeople, read_labelled
from mgrisk.report.model_card import escape
from mgrisk.report.sections.performance import METRICS
from mgrisk.riskscores.scores import Method as Map
from mgrisk.riskscores.scores import cross_fitted
from mgrisk.run_folder import names
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.scorer import Scorer, load_scorer
from mgrisk.score.summary import AUROC_WITHOUT, not_used
from mgrisk.storage.destinations import prepare_folder
from mgrisk.storage.files import atomic_folder, is_intact, to_json, write_json, write_text
from mgrisk.survey.folds import fold_of_psus
from mgrisk.types import Floats, Integers

OFTEN: Final = 0.1
"""Share of the people who lack an input from which on it is told."""
SPECTRUM: Final = "to compare with publications that leave them out, and no measure of use among people as they come"
LINES: Final = (
    "auroc", "brier_scaled", "log_loss", "calibration_intercept", "calibration_slope", "observed_expected", "ici",
)  # fmt: skip
LABELS: Final = {metric: label for metric, label, _, _ in METRICS}
PERCENTAGES: Final = frozenset(metric for metric, _, _, share in METRICS if share)
OBSERVED: Final = ("observed_expected", "auroc", "calibration_slope")
FOLDS: Final = 10
FOLD_SEED: Final = 1
PARENT, RECALIBRATED = "parent", "recalibrated"
CROSS_FITTED: Final = ("calibration_slope", "log_loss", "ici", "observed_expected")


@dataclass(frozen=True)
class External:
    """What a command did.

    Attributes
    ----------
    folder
        Where its files are.
    lines
        What a person wants to read of it.
    bundle
        Which model it was: `score.scorer.Scorer.provenance`.
    observed
        Of an evaluation, what the history of batches keeps of it: `score.history.outcomes_line`'s `whole` and `groups`.
    """

    folder: Path
    lines: tuple[str, ...]
    bundle: Mapping[str, Any]
    observed: Mapping[str, Any] = field(default_factory=dict)


def evaluate_file(
    model: Path,
    source: str,
    columns: LabelColumns,
    *,
    folder: Path,
    by: str | None = None,
    threads: int = 1,
    missing: Missing = MISSING,
) -> External:
    """Validate a bundle on anybody's data; write evaluation, thresholds, curves and people as JSON, and summary.md.

    Parameters
    ----------
    model
        Folder of the bundle.
    source, columns
        The file, and where outcome and design stand in it.
    folder
        Missing, empty, or what an earlier evaluation wrote; it appears whole or not at all.
    by
        Column by whose texts people are evaluated too, for the history of batches.
    threads
        Threads of the margin.
    missing
        What means missing in the file.

    Raises
    ------
    MgRiskError
        Those of `prepare_folder`, `load_scorer` and `read_labelled`.

    Examples
    --------
    >>> from mgrisk.model.released import released
    >>> clinic = LabelColumns("has_it", person="patient")
    >>> evaluate_file(released("undiagnosed"), "clinic.csv", clinic, folder=Path("out")).lines[0]  # doctest: +SKIP
    '14,840 rows of 2,968 people, 2,745 cases; no weights; sampling units are the values of patient'
    """
    prepare_folder(folder, is_ours=_is_evaluation, inputs=[source, model])
    scorer = load_scorer(model, threads=threads)
    carry = [by] if by else []
    people = read_labelled(source, scorer.inputs, columns, excluded=scorer.exclusions, carry=carry, missing=missing)
    found, predictions, inputs = evaluate_people(scorer, people, outcome=columns.outcome)
    context = {
        "model": scorer.label,
        "model_sha256": scorer.digest,
        "model_outcome": scorer.bundle.about["outcome"],
        "input": source,
        "outcome": columns.outcome,
        "sampling": people.sampling,
        "design": people.design.to_dict(),
        "attrition": people.attrition,
        "problems": people.problems,
        "persons": people.persons,
        "in_domain": inputs.in_domain,
        "inputs": inputs.to_dict(),
        "unused_columns": dict(people.unused),
    }
    lines = [*people.lines, *inputs.lines, *not_used(people.unused), *evaluation_lines(found.records)]
    with atomic_folder(folder, is_ours=_is_evaluation) as part:
        write_json(part / names.EVALUATION, found.records)
        write_json(part / names.THRESHOLDS, found.thresholds)
        write_json(part / names.CURVES, {EXTERNAL: found.curves})
        write_json(part / names.PEOPLE_OF_FILE, context)
        write_text(part / names.SUMMARY, _summary(context, lines))
    everybody = [record for record in found.records if record["group"] == "all" and record["metric"] in OBSERVED]
    observed = {
        "whole": _observed(everybody),
        "groups": _observed_by(by, people, predictions.risks[scorer.label], missing),
    }
    return External(folder, tuple(lines), scorer.provenance, observed)


def evaluate_people(
    scorer: Scorer, people: LabelledPeople, *, outcome: str
) -> tuple[Assessment, Predictions, InputsOfPeople]:
    """Evaluate a model on people whose outcome is known.

    Parameters
    ----------
    scorer, people
        The model, and the people by its inputs.
    outcome
        The column that tells it, for the records.

    Returns
    -------
    Assessment, Predictions, InputsOfPeople
        The evaluation, what was evaluated, and which inputs the people have.
    """
    margin, _, inputs = _margins(scorer.bundle, people)
    predictions = Predictions(people.y, {scorer.label: scorer.bundle.calibrator.risk(margin)}, {}, people.design)
    found = assess(
        predictions,
        complete(people.values, scorer.bundle.family, models=scorer.bundle.models),
        chosen=scorer.label,
        # Nothing is chosen on these people: the risks from which one would act are fixed.
        thresholds={scorer.label: {f"risk {at:g}": at for at in RISKS}},
        outcome=outcome,
        set_name=EXTERNAL,
        prediabetes=people.prediabetes,
    )
    return found, predictions, inputs


def _observed_by(by: str | None, people: LabelledPeople, risk: Floats, missing: Missing) -> dict[str, dict[str, Any]]:
    if by is None:
        return {}
    group = people.carried[by].map(lambda cell: "" if missing.holds(cell) else brief(cell.strip())).to_numpy()
    domains = {name: people.design.where(group == name) for name in np.unique(group[people.inside])}
    return {
        str(name): _observed(replicate_metrics(people.y, {by: risk}, domain, metrics=OBSERVED).records())
        for name, domain in domains.items()
    }


def _observed(records: list[dict[str, Any]]) -> dict[str, Any]:
    metrics = {record["metric"]: [record[name] for name in ("estimate", "low", "high")] for record in records}
    return {"n": records[0]["n"], "cases": records[0]["events"], "metrics": metrics}


def recalibrate_file(
    model: Path,
    source: str,
    columns: LabelColumns,
    *,
    method: Method,
    population: str,
    folder: Path,
    name: str = "",
    label: str = "",
    definition: str = "",
    overwrite: bool = False,
    threads: int = 1,
    missing: Missing = MISSING,
) -> External:
    """Write a bundle whose risks hold among the people of a file, and which names its parent.

    Parameters
    ----------
    model, source, columns, threads, missing
        As for `evaluate_file`.
    method
        ``intercept`` or ``logistic``.
    population
        Who and when they are, in words; empty where it is not told.
    folder
        The new bundle: missing, empty, or with `overwrite` a bundle, which is replaced.
    name
        What it is called; else that of the parent with a digest of what was fitted.
    label, definition
        Of the outcome of these people where it is not that of the parent.

    Raises
    ------
    MgRiskError
        Those of `prepare_folder`, `load_scorer`, `read_labelled` and `model.recalibration.recalibrate`;
        ``recalibrate.reserved_name``, and ``recalibrate.half_an_outcome`` for a label without a definition.
    """
    _refuse_names(name, label, definition)
    prepare_folder(folder, is_ours=is_bundle, inputs=[source, model], overwrite=overwrite)
    scorer = load_scorer(model, threads=threads)
    bundle = scorer.bundle
    people = read_labelled(source, scorer.inputs, columns, excluded=scorer.exclusions, missing=missing)
    margin, frame, inputs = _margins(bundle, people)
    parent = {"name": str(bundle.about["name"]), "sha256": scorer.digest}
    holds_for = population or f"the people of {Path(source).name}; who and when they were is not told"
    told: dict[str, Any] = {"parent": parent, "holds_for": holds_for}
    if name:
        told["name"] = name
    if label:
        own = {"name": columns.outcome, "label": label, "definition": definition, "warning": NO_WARNING}
        told |= {"outcome": {**bundle.about["outcome"], **own}, "title": f"{label}, recalibrated from {parent['name']}"}
    made = recalibrate(bundle, margin, people.y, people.design, method=method, told=told)
    old = bundle.calibrator
    change = made.about["recalibration"]
    inside, weight = people.inside, people.design.analysis_weight[people.inside]
    before = float(np.average(old.risk(margin[inside]), weights=weight))
    found = cross_fit(old.log_odds(margin), people, method=method)
    lines = (
        *people.lines,
        *inputs.lines,
        *not_used(people.unused),
        f"{method}: log-odds × {change['slope_of_parent']:.3f} {change['intercept_of_parent']:+.3f}; "
        f"mean risk {before:.4f} before, {change['prevalence']:.4f} observed",
        *found.lines,
        f"name: {made.about['name']}; outcome: {made.about['outcome']['label']}",
        f"holds for: {holds_for}; parent {parent['name']} {scorer.digest[:12]}",
    )
    card = f"# {escape(made.about['name'])}\n\n" + "\n".join(f"- {escape(line.strip())}" for line in lines)
    parent_card = bundle.parts.get(names.CARD, b"").decode()
    below = f"\n\nThe card of the parent, whose performance is not that of this bundle:\n\n{parent_card}"
    # The risks as a batch of these people would have them, of a map that did not see the person.
    drift = describe(frame, bundle.features, weight) | {RISK: describe_numbers(found.risk[inside], weight)}
    added = {names.CARD: (card + (below if parent_card else "\n")).encode(), DRIFT: to_json(drift).encode()}
    parts = {**made.parts, **added}
    about = {**made.about, "recalibration": {**change, "cross_fitted": found.to_dict()}}
    replace(made, about=about, parts=parts).write(folder)
    return External(folder, lines, scorer.provenance)


@dataclass(frozen=True)
class CrossFitted:
    """A recalibration on people that it was not fitted on.

    Attributes
    ----------
    folds
        Of whole sampling units; each has the risks of a map fitted on the others.
    risk
        Those risks, shape (n,); any number outside the analysis.
    ratios
        Observed over expected cases in each fold, shape (folds,).
    records
        Metrics of the parent and of the recalibrated risks with intervals, as `evaluate.intervals.MetricReplicates`.
    """

    folds: int
    risk: Floats
    ratios: Floats
    records: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return what bundle.json says."""
        return {"folds": self.folds, "observed_expected_by_fold": self.ratios, "records": self.records}

    @property
    def lines(self) -> list[str]:
        """The metrics before and after, in words."""
        of = {(record["model"], record["metric"]): record for record in self.records}
        told = [f"cross-fitted, each of {self.folds} folds of sampling units by the map of the others:"]
        for metric in CROSS_FITTED:
            before, after = (of[model, metric] for model in (PARENT, RECALIBRATED))
            if metric != "observed_expected":
                told.append(f"  {LABELS[metric]}: {_with_interval(before)} before, {_with_interval(after)} after")
                continue
            spread = f"{self.ratios.min():.3f} to {self.ratios.max():.3f} in single folds"
            if np.isfinite(after["low"]):
                spread += f", 95 % interval {after['low']:.3f} to {after['high']:.3f}"
            told.append(f"  {LABELS[metric]}: {_with_interval(before)} before; after, {spread}")
            told.append("  (over all folds it is near 1 by construction: the cases of these people set the level)")
        return told


def cross_fit(log_odds: Floats, people: LabelledPeople, *, method: Method) -> CrossFitted:
    """Evaluate a recalibration on people that it was not fitted on.

    Parameters
    ----------
    log_odds
        Those of the parent, shape (n,); any number outside the analysis.
    people
        Their outcome and design.
    method
        ``intercept`` or ``logistic``.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` where a fold leaves no map to be fitted.

    Notes
    -----
    Steyerberg (2019), Clinical Prediction Models, chapters 5 and 20.
    """
    y, design = people.y, people.design
    folds = min(FOLDS, design.n_clusters)
    fold: Integers = fold_of_psus(design.cluster_psu, folds=folds, seed=FOLD_SEED)[design.cluster]
    risk = cross_fitted(Map(method), log_odds, y, design, fold)
    risks = {PARENT: expit(log_odds), RECALIBRATED: risk}
    weight = design.analysis_weight
    observed, expected = (np.bincount(fold, weight * each, minlength=folds) for each in (y, risk))
    analysed = expected > 0
    return CrossFitted(
        folds=folds,
        risk=risk,
        ratios=observed[analysed] / expected[analysed],
        records=replicate_metrics(y, risks, design, metrics=CROSS_FITTED).records(),
    )


def _refuse_names(name: str, label: str, definition: str) -> None:
    if is_reserved(name):
        raise usage(
            "recalibrate.reserved_name",
            "this is the name of a released model",
            where="--name",
            got=name,
            hint="give the bundle a name of its own",
        )
    if bool(label) != bool(definition):
        raise usage(
            "recalibrate.half_an_outcome",
            "an outcome of one's own has a label and a definition",
            where="--label and --definition",
            hint="give both, or neither where the outcome is that of the parent",
        )


def _is_evaluation(folder: Path) -> bool:
    return is_intact(folder, marker=names.PEOPLE_OF_FILE)


@dataclass(frozen=True)
class InputsOfPeople:
    """Which inputs of the model the people analysed have.

    Attributes
    ----------
    missing
        Share of the people who lack each feature of the model, itself and what it derives from.
    auroc
        AUROC over cycles left out with all inputs, and without those that nobody has; None where it is not known.
    in_domain
        Weighted share of the people who are in the training distribution by the inputs that they have.
    """

    missing: Mapping[str, float]
    auroc: tuple[float, float] | None
    in_domain: float

    @property
    def absent(self) -> list[str]:
        """The features that nobody has."""
        return [name for name, share in self.missing.items() if share == 1]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of people.json."""
        return {"missing": dict(self.missing), "absent": self.absent}

    @property
    def lines(self) -> list[str]:
        """What is missing, and what that means for the evaluation."""
        of, absent = len(self.missing), self.absent
        given = [name for name in self.missing if name not in absent]
        each = of - sum(self.missing.values())
        shorter = f": {', '.join(given)}" if len(given) < len(absent) else f"; absent for all: {', '.join(absent)}"
        lines = [f"inputs: {len(given)} of {of} given{shorter if absent else ''}"]
        part = {name: share for name, share in self.missing.items() if OFTEN <= share < 1}
        if part:
            often = [f"{name} {100 * part[name]:.0f}%" for name in sorted(part, key=lambda name: -part[name])]
            lines.append(f"  missing: {', '.join(often)}")
        if self.auroc:
            lines.append(AUROC_WITHOUT.format(*self.auroc))
        lines.append(
            f"in the model's training distribution: {100 * self.in_domain:.1f}% of them by the inputs they have, "
            f"{each:.1f} of {of} on average"
            + ("; by so few inputs hardly anybody can be found outside" if each < of / 2 else "")
        )
        return lines


def _margins(bundle: Bundle, people: LabelledPeople) -> tuple[Floats, pd.DataFrame, InputsOfPeople]:
    """Return margins, shape (n,), 0 for rows not analysed, and features and inputs of the people analysed."""
    given = people.values.iloc[people.inside]
    frame, X = bundle.encode(given)
    margin = np.zeros(len(people.y))
    margin[people.inside] = bundle.fitted.margin(X)
    weight = people.design.analysis_weight[people.inside]
    # What is known of men without asking them is not given by anybody.
    unasked = {row.name for row in bundle.features if row.derived_in_part and given[row.name].isna().all()}
    missing = {
        row.name: 1.0 if row.name in unasked else float(frame[row.name].isna().mean()) for row in bundle.features
    }
    inputs = InputsOfPeople(
        missing,
        bundle.auroc_without([name for name, share in missing.items() if share == 1]),
        float(np.average(bundle.in_domain(frame), weights=weight)),
    )
    return margin, frame, inputs


def evaluation_lines(records: list[dict[str, Any]]) -> list[str]:
    """Return the metrics of everybody with their intervals, and what to do where the risks are too high or too low."""
    lines = []
    for record in records:
        if record["group"] == "all" and record["metric"] in LINES:
            lines.append(f"{LABELS[record['metric']]}: {_with_interval(record)}")
        if record["group"] == CONTROLS:
            lines.append(
                f"AUROC without people with prediabetes among the controls: {_with_interval(record)}; {SPECTRUM}"
            )
    expected = next(record for record in records if record["metric"] == "observed_expected")
    if np.isfinite(expected["low"]) and not expected["low"] <= 1 <= expected["high"]:
        way = "low" if expected["estimate"] > 1 else "high"
        lines.append(f"The risks are too {way} for these people; `mgrisk recalibrate` makes a bundle for them.")
    return lines


def _with_interval(record: dict[str, Any]) -> str:
    if not np.isfinite(record["estimate"]):
        return "not estimable"
    times, digits, unit = (100.0, 2, " %") if record["metric"] in PERCENTAGES else (1.0, 3, "")
    estimate, low, high = (f"{times * record[name]:.{digits}f}" for name in ("estimate", "low", "high"))
    if not np.isfinite(record["low"]):
        return f"{estimate}{unit} (interval not estimable)"
    return f"{estimate}{unit} (95 % interval {low} to {high})"


def _summary(context: dict[str, Any], lines: list[str]) -> str:
    steps = [f"| {escape(step['step'])} | {step['excluded']:,} | {step['n']:,} |" for step in context["attrition"]]
    codes = [f"| {escape(code)} | {count:,} |" for code, count in context["problems"].items()]
    return "\n".join(
        [
            f"# {escape(context['model'])} on {escape(Path(context['input']).name)}",
            "",
            *(f"- {escape(line.strip())}" for line in lines),
            f"- The model was made for: {escape(context['model_outcome']['label'])}. Whether the column "
            f"{escape(context['outcome'])} is that outcome, no program can tell.",
            "",
            "| from the file to the analysis | rows left out | rows left |",
            "|---|---|---|",
            *steps,
            "",
            *(["| problem | rows |", "|---|---|", *codes] if codes else ["The contract found no problem."]),
            "",
        ]
    )
