"""Validate a bundle externally on the people of a file, and recalibrate it to them.

A recalibrated bundle is evaluated on the same people by cross-fitting: each fold of whole sampling units is predicted
by the recalibration fitted to the other folds. Since the same people determine its level, observed over expected is
near 1 over all folds for any model; it is therefore reported as the range over single folds, with its interval.
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
"""Share of people without an input from which the input is reported."""
SPECTRUM: Final = "for comparison with publications that exclude them; not the performance in unselected people"
LINES: Final = (
    "auroc", "brier_scaled", "log_loss", "calibration_intercept", "calibration_slope", "observed_expected", "ici",
)  # fmt: skip
METRIC_LABELS: Final = {metric: label for metric, label, _, _ in METRICS}
PERCENTAGES: Final = frozenset(metric for metric, _, _, share in METRICS if share)
OBSERVED: Final = ("observed_expected", "auroc", "calibration_slope")
FOLDS: Final = 10
FOLD_SEED: Final = 1
PARENT, RECALIBRATED = "parent", "recalibrated"
CROSS_FITTED: Final = ("calibration_slope", "log_loss", "ici", "observed_expected")


@dataclass(frozen=True)
class External:
    """Result of an evaluation or recalibration.

    Attributes
    ----------
    folder
        Folder of its files.
    lines
        Lines for the terminal.
    bundle
        Provenance of the model: `score.scorer.Scorer.provenance`.
    observed
        Results of an evaluation for the history of batches: `whole` and `groups` of `score.history.outcomes_line`.
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
    """Validate a bundle on the people of a file; write evaluation, thresholds, curves, people and a summary.

    Parameters
    ----------
    model
        Folder of the bundle.
    source, columns
        The file, and its columns of outcome and design.
    folder
        Output folder: missing, empty, or from an earlier evaluation. It is published complete, or not at all.
    by
        Column by whose values people are also evaluated, for the history of batches.
    threads
        Threads for prediction by tree models.
    missing
        Words and codes that mean missing in the file.

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
    overall = [record for record in found.records if record["group"] == "all" and record["metric"] in OBSERVED]
    by_group = _observed_by(by, people, predictions.risks[scorer.label], missing)
    observed = {"whole": _observed(overall), "groups": by_group}
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
    linear_predictor, _, inputs = _linear_predictors(scorer.bundle, people)
    predictions = Predictions(
        people.y, {scorer.label: scorer.bundle.calibrator.risk(linear_predictor)}, {}, people.design
    )
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
    """Recalibrate a bundle to the people of a file, and write a new bundle that records its parent.

    Parameters
    ----------
    model, source, columns, threads, missing
        As for `evaluate_file`.
    method
        ``intercept`` or ``logistic``.
    population
        Description of the people and dates; may be empty.
    folder
        Folder of the new bundle: missing, empty, or, with `overwrite`, a bundle to replace.
    name
        Name of the new bundle; by default that of the parent with a digest of the fit.
    label, definition
        Label and definition of the outcome, if it is not that of the parent.

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
    linear_predictor, frame, inputs = _linear_predictors(bundle, people)
    parent = {"name": str(bundle.about["name"]), "sha256": scorer.digest}
    holds_for = population or f"the people of {Path(source).name}; population and dates not recorded"
    changes: dict[str, Any] = {"parent": parent, "holds_for": holds_for}
    if name:
        changes["name"] = name
    if label:
        own = {"name": columns.outcome, "label": label, "definition": definition, "warning": NO_WARNING}
        changes |= {
            "outcome": {**bundle.about["outcome"], **own},
            "title": f"{label}, recalibrated from {parent['name']}",
        }
    made = recalibrate(bundle, linear_predictor, people.y, people.design, method=method, changes=changes)
    old = bundle.calibrator
    change = made.about["recalibration"]
    inside, weight = people.inside, people.design.analysis_weight[people.inside]
    before = float(np.average(old.risk(linear_predictor[inside]), weights=weight))
    found = cross_fit(old.log_odds(linear_predictor), people, method=method)
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
    below = f"\n\nThe card of the parent model; its performance is not that of this bundle:\n\n{parent_card}"
    # The distribution of risks in these people, each from a recalibration that was not fitted on the person.
    drift = describe(frame, bundle.features, weight) | {RISK: describe_numbers(found.risk[inside], weight)}
    added = {names.CARD: (card + (below if parent_card else "\n")).encode(), DRIFT: to_json(drift).encode()}
    parts = {**made.parts, **added}
    about = {**made.about, "recalibration": {**change, "cross_fitted": found.to_dict()}}
    replace(made, about=about, parts=parts).write(folder)
    return External(folder, lines, scorer.provenance)


@dataclass(frozen=True)
class CrossFitted:
    """Cross-fitted performance of a recalibration.

    Attributes
    ----------
    folds
        Number of folds of whole sampling units.
    risk
        Risks of each fold by the recalibration fitted to the other folds, shape (n,); arbitrary outside the analysis.
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
        """Return the record in bundle.json."""
        return {"folds": self.folds, "observed_expected_by_fold": self.ratios, "records": self.records}

    @property
    def lines(self) -> list[str]:
        """The metrics before and after recalibration, as lines of text."""
        of = {(record["model"], record["metric"]): record for record in self.records}
        lines = [f"cross-fitted over {self.folds} folds of sampling units:"]
        for metric in CROSS_FITTED:
            before, after = (of[model, metric] for model in (PARENT, RECALIBRATED))
            if metric != "observed_expected":
                lines.append(
                    f"  {METRIC_LABELS[metric]}: {_with_interval(before)} before, {_with_interval(after)} after"
                )
                continue
            folds = f"{self.ratios.min():.3f} to {self.ratios.max():.3f} over single folds"
            if np.isfinite(after["low"]):
                folds += f", 95 % interval {after['low']:.3f} to {after['high']:.3f}"
            lines.append(f"  {METRIC_LABELS[metric]}: {_with_interval(before)} before; after, {folds}")
            lines.append("  (over all folds it is near 1 by construction, since it is fitted to these people)")
        return lines


def cross_fit(log_odds: Floats, people: LabelledPeople, *, method: Method) -> CrossFitted:
    """Evaluate a recalibration by cross-fitting.

    Parameters
    ----------
    log_odds
        Log-odds of the parent model, shape (n,); arbitrary outside the analysis.
    people
        Their outcome and design.
    method
        ``intercept`` or ``logistic``.

    Raises
    ------
    MgRiskError
        ``logistic.not_converged`` if no recalibration can be fitted without a fold.

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
            hint="give the bundle another name",
        )
    if bool(label) != bool(definition):
        raise usage(
            "recalibrate.half_an_outcome",
            "an outcome needs both a label and a definition",
            where="--label and --definition",
            hint="give both, or neither if the outcome is that of the parent",
        )


def _is_evaluation(folder: Path) -> bool:
    return is_intact(folder, marker=names.PEOPLE_OF_FILE)


@dataclass(frozen=True)
class InputsOfPeople:
    """Inputs of the model that are known for the people analysed.

    Attributes
    ----------
    missing
        Share of people without each feature of the model, given or derived.
    auroc
        AUROC in left-out cycles with all inputs, and without those that no person has; None if unknown.
    in_domain
        Weighted share of people who are in the training distribution by their known inputs.
    """

    missing: Mapping[str, float]
    auroc: tuple[float, float] | None
    in_domain: float

    @property
    def absent(self) -> list[str]:
        """Features that no person has."""
        return [name for name, share in self.missing.items() if share == 1]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of people.json."""
        return {"missing": dict(self.missing), "absent": self.absent}

    @property
    def lines(self) -> list[str]:
        """Lines on missing inputs, and their consequence for the evaluation."""
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
            f"in the model's training distribution: {100 * self.in_domain:.1f}% of people by their known inputs, "
            f"{each:.1f} of {of} on average"
            + ("; with so few inputs almost nobody is found out of it" if each < of / 2 else "")
        )
        return lines


def _linear_predictors(bundle: Bundle, people: LabelledPeople) -> tuple[Floats, pd.DataFrame, InputsOfPeople]:
    """Return linear predictors, shape (n,), 0 for rows not analysed; and features and inputs of the people analysed."""
    given = people.values.iloc[people.inside]
    frame, X = bundle.encode(given)
    linear_predictor = np.zeros(len(people.y))
    linear_predictor[people.inside] = bundle.fitted.margin(X)
    weight = people.design.analysis_weight[people.inside]
    # Values implied by being male are not counted as given.
    unasked = {row.name for row in bundle.features if row.derived_in_part and given[row.name].isna().all()}
    missing = {
        row.name: 1.0 if row.name in unasked else float(frame[row.name].isna().mean()) for row in bundle.features
    }
    inputs = InputsOfPeople(
        missing,
        bundle.auroc_without([name for name, share in missing.items() if share == 1]),
        float(np.average(bundle.in_domain(frame), weights=weight)),
    )
    return linear_predictor, frame, inputs


def evaluation_lines(records: list[dict[str, Any]]) -> list[str]:
    """Return the metrics of everybody with their intervals, and what to do where the risks are too high or too low."""
    lines = []
    for record in records:
        if record["group"] == "all" and record["metric"] in LINES:
            lines.append(f"{METRIC_LABELS[record['metric']]}: {_with_interval(record)}")
        if record["group"] == CONTROLS:
            lines.append(
                f"AUROC with people with prediabetes excluded from the controls: {_with_interval(record)}; {SPECTRUM}"
            )
    expected = next(record for record in records if record["metric"] == "observed_expected")
    if np.isfinite(expected["low"]) and not expected["low"] <= 1 <= expected["high"]:
        way = "low" if expected["estimate"] > 1 else "high"
        lines.append(f"The risks are too {way} for these people; `mgrisk recalibrate` writes a recalibrated bundle.")
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
            f"- The model predicts: {escape(context['model_outcome']['label'])}. Check that the column "
            f"{escape(context['outcome'])} is that outcome.",
            "",
            "| from the file to the analysis | rows excluded | rows remaining |",
            "|---|---|---|",
            *steps,
            "",
            *(["| problem | rows |", "|---|---|", *codes] if codes else ["No problem was found by the input schema."]),
            "",
        ]
    )
