"""`mgrisk evaluate` and `mgrisk recalibrate`: a bundle among other people than those it was made on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mgrisk.evaluate.assess import assess
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.thresholds import RISKS
from mgrisk.features.compute import complete
from mgrisk.model.bundle import Bundle, Method, recalibrate
from mgrisk.model.bundle_files import SUMS
from mgrisk.own_data.labelled import LabelColumns, LabelledPeople, read_labelled
from mgrisk.run_folder import names
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.scorer import load_scorer
from mgrisk.storage.files import sha256, write_json, write_text
from mgrisk.types import Floats

EXTERNAL: Final = "external"
TOLD: Final = {
    "auroc": "AUROC",
    "brier_scaled": "Scaled Brier score",
    "log_loss": "Log loss, nats",
    "calibration_intercept": "Calibration intercept (0 is right)",
    "calibration_slope": "Calibration slope (1 is right)",
    "observed_expected": "Observed / expected cases (1 is right)",
    "ici": "ICI: mean calibration error",
}


@dataclass(frozen=True)
class External:
    """What a command did.

    Attributes
    ----------
    folder
        Where its files are.
    lines
        What a person wants to read of it.
    """

    folder: Path
    lines: tuple[str, ...]


def evaluate_file(
    model: Path, source: str, columns: LabelColumns, *, folder: Path, threads: int = 1, missing: Missing = MISSING
) -> External:
    """Validate a bundle on anybody's data; write evaluation, thresholds, curves and people as JSON, and summary.md.

    Parameters
    ----------
    model
        Folder of the bundle.
    source, columns
        The file, and where outcome and design stand in it.
    folder
        Made if need be; files of the same names are replaced.
    threads
        Threads of the margin.
    missing
        What means missing in the file.

    Raises
    ------
    MgRiskError
        Those of `load_scorer` and `read_labelled`.
    """
    scorer = load_scorer(model, threads=threads)
    people = read_labelled(source, scorer.bundle.inputs, columns, missing=missing)
    margin, alike = _margins(scorer.bundle, people)
    risk = scorer.bundle.calibrator.risk(margin)
    found = assess(
        Predictions(people.y, {scorer.label: risk}, {}, people.design),
        complete(people.values, scorer.bundle.family, models=scorer.bundle.models),
        chosen=scorer.label,
        # Nothing is chosen on these people: the risks from which one would act are fixed.
        thresholds={scorer.label: {f"risk {at:g}": at for at in RISKS}},
        outcome=columns.outcome,
        set_name=EXTERNAL,
    )
    context = {
        "model": scorer.label,
        "model_sha256": sha256(model / SUMS),
        "model_outcome": scorer.bundle.about["outcome"],
        "input": source,
        "outcome": columns.outcome,
        "sampling": people.sampling,
        "design": people.design.to_dict(),
        "attrition": people.attrition,
        "problems": people.problems,
        "in_domain": alike,
    }
    lines = _evaluation_lines(found.records, people)
    write_json(folder / names.EVALUATION, found.records)
    write_json(folder / names.THRESHOLDS, found.thresholds)
    write_json(folder / names.CURVES, {EXTERNAL: found.curves})
    write_json(folder / names.PEOPLE_OF_FILE, context)
    write_text(folder / names.SUMMARY, _summary(context, lines))
    return External(folder, tuple(lines))


def recalibrate_file(
    model: Path,
    source: str,
    columns: LabelColumns,
    *,
    method: Method,
    population: str,
    folder: Path,
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
        The new bundle; an older one there is replaced.

    Raises
    ------
    MgRiskError
        Those of `load_scorer`, `read_labelled` and `model.bundle.recalibrate`.
    """
    bundle = load_scorer(model, threads=threads).bundle
    people = read_labelled(source, bundle.inputs, columns, missing=missing)
    margin, _ = _margins(bundle, people)
    parent = {"name": str(bundle.about["name"]), "sha256": sha256(model / SUMS)}
    holds_for = population or f"the people of {Path(source).name}; who and when they were is not told"
    told = {"parent": parent, "holds_for": holds_for}
    made = recalibrate(bundle, margin, people.y, people.design, method=method, told=told)
    new, old = made.calibrator, bundle.calibrator
    change = made.about["recalibration"]
    inside, weight = people.inside, people.design.analysis_weight[people.inside]
    before, after = (float(np.average(each.risk(margin[inside]), weights=weight)) for each in (old, new))
    lines = (
        f"{change['people']:,} people, {change['cases']:,} cases; {people.sampling}",
        f"{method}: log-odds × {change['slope_of_parent']:.3f} {change['intercept_of_parent']:+.3f}; "
        f"mean risk {before:.4f} before, {after:.4f} after, {change['prevalence']:.4f} observed",
        f"holds for: {holds_for}; parent {parent['name']} {parent['sha256'][:12]}",
    )
    card = "# " + made.about["name"] + "\n\n" + "\n".join(f"- {line}" for line in lines)
    parent_card = bundle.parts.get(names.CARD, b"").decode()
    below = f"\n\nThe card of the parent, whose performance is not that of this bundle:\n\n{parent_card}"
    parts = {**made.parts, names.CARD: (card + (below if parent_card else "\n")).encode()}
    replace(made, parts=parts).write(folder)
    return External(folder, lines)


def _margins(bundle: Bundle, people: LabelledPeople) -> tuple[Floats, float]:
    """Return margins, shape (n,), 0 for rows not analysed, and the share of people like those of development."""
    frame, X = bundle.encode(people.values.iloc[people.inside])
    margin = np.zeros(len(people.y))
    margin[people.inside] = bundle.fitted.margin(X)
    weight = people.design.analysis_weight[people.inside]
    return margin, float(np.average(bundle.in_domain(frame), weights=weight))


def _evaluation_lines(records: list[dict[str, Any]], people: LabelledPeople) -> list[str]:
    lines = [f"{len(people.inside):,} people, {people.cases:,} cases; {people.sampling}"]
    for record in records:
        if record["group"] == "all" and record["metric"] in TOLD:
            lines.append(f"{TOLD[record['metric']]}: {_with_interval(record)}")
    expected = next(record for record in records if record["metric"] == "observed_expected")
    if np.isfinite(expected["low"]) and not expected["low"] <= 1 <= expected["high"]:
        way = "low" if expected["estimate"] > 1 else "high"
        lines.append(f"The risks are too {way} for these people; `mgrisk recalibrate` makes a bundle for them.")
    return lines


def _with_interval(record: dict[str, Any]) -> str:
    if not np.isfinite(record["low"]):
        return f"{record['estimate']:.3f} (no interval: {record['problem']})"
    return f"{record['estimate']:.3f} (95 % interval {record['low']:.3f} to {record['high']:.3f})"


def _summary(context: dict[str, Any], lines: list[str]) -> str:
    steps = [f"| {step['step']} | {step['excluded']:,} | {step['n']:,} |" for step in context["attrition"]]
    codes = [f"| {code} | {count:,} |" for code, count in context["problems"].items()]
    return "\n".join(
        [
            f"# {context['model']} on {Path(context['input']).name}",
            "",
            *(f"- {line}" for line in lines),
            f"- {100 * context['in_domain']:.1f} % of them are like the people that the model was made on.",
            f"- The model was made for: {context['model_outcome']['label']}. Whether the column "
            f"{context['outcome']} is that outcome, no program can tell.",
            "",
            "| from the file to the analysis | rows left out | rows left |",
            "|---|---|---|",
            *steps,
            "",
            *(["| problem | rows |", "|---|---|", *codes] if codes else ["The contract found no problem."]),
            "",
        ]
    )
