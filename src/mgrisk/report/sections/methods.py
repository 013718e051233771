"""Sections on features, methods (design, models, tuning, calibration) and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from mgrisk.evaluate.records import CalibratorMetric, Records
from mgrisk.features.registry import lineage
from mgrisk.model.learners import Candidate
from mgrisk.report.blocks import Block, Section, bullets, callout, column, row, table, text
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent, span, unit_label
from mgrisk.report.population import population
from mgrisk.report.sections import ReportSection
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import ManifestRecord, TableRecord

# Made from the report or after it: a report that listed them would change with every rerun.
LATER: Final = {"report", "bundle", "without", "track"}


def features(run: RunFolder) -> Section:
    """Describe the features of the model, their sources and their share of missing values."""
    rows = []
    for feature in run.features:
        found, lacking = lineage(feature), run.reference[feature.name]["missing"]
        cells = [
            found.label,
            ", ".join(map(level_label, feature.levels)) or unit_label(found.allowed),
            found.formula,
            ", ".join(found.sources),
            found.sample,
            found.cycles + (f"; a break at {', '.join(found.breaks)}" if found.breaks else ""),
            found.citation,
            percent(lacking),
        ]
        rows.append(row(cells, {**found.to_dict(), "missing": lacking}))
    columns = [
        column("Feature", numeric=False), column("Values", numeric=False), column("Definition", numeric=False),
        column("NHANES variables", numeric=False), column("Measured in", numeric=False), column("Cycles", numeric=False),
        column("Source", numeric=False), column("Missing"),
    ]  # fmt: skip
    caption = f"The {len(rows)} features of the model; missing values as a weighted share of the development set"
    return FEATURES.of([table("features-table", caption, columns, rows)])


def _break_sentences(run: RunFolder) -> list[str]:
    """Say which changes in a question or method over the cycles were accepted, and which tables a cycle does not have."""
    found = [
        f"Accepted change {each.name} between {span([each.before])} and {span([each.after])}, of "
        f"{', '.join(each.of)}: {each.reason} (crosswalk: {each.crosswalk}; {each.source})."
        for each in run.cohort.breaks
    ]
    cycles: dict[tuple[str, str], list[str]] = {}
    for each in run.cohort.absent:
        cycles.setdefault((each.table, each.reason), []).append(each.cycle)
    return found + [f"{table} is absent in {span(of)}: {reason}." for (table, reason), of in cycles.items()]


def methods(run: RunFolder) -> Section:
    """Describe the survey design, the models, their tuning and the calibration."""
    about, cohort, people = run.about, run.cohort, population(run)
    blocks: list[Block] = [
        callout(cohort.outcome.warning, tone="warning"),
        bullets(
            f"Outcome: {cohort.outcome.label}. {cohort.outcome.definition}. A person with a needed value missing does not count as free of it.",
            f"{people.weights} Fitting, tuning, calibration, metrics and summaries are all weighted. Cases are neither "
            "over-sampled nor re-weighted: the risks are probabilities.",
            _folds_sentence(run),
            *people.file_sentences,
            *_break_sentences(run),
            f"Held out: {span(about['held_out'])}, {people.evaluated_on}. Development: {span(about['cycles'])}.",
            f"Leakage: variables that define, treat or follow the outcome are refused by name ({len(cohort.outcome.leaks)} patterns).",
            f"Models: {', '.join(sorted(model_label(name) for name in run.tuning.models))}; "
            f"{len(run.tuning.candidates)} settings in all. The chosen model has the lowest weighted log loss of "
            "calibrated out-of-fold risks.",
            *_interval_sentences(run),
        ),
        _calibration(run),
        _calibrators(run),
        _models(run),
        _parts(run),
    ]
    return METHODS.of(blocks)


def provenance(run: RunFolder) -> Section:
    """Describe the provenance of the numbers: code, libraries, configuration, tables, steps."""
    manifest, about = run.manifest, run.about
    versions = ", ".join(f"{name} {number_}" for name, number_ in manifest.environment.items())
    blocks: list[Block] = [
        bullets(
            f"Data: {manifest.data}.",
            f"mgrisk {manifest.mgrisk}, pipeline {manifest.pipeline}.",
            f"Configuration sha256 {about['configuration_sha256']}.",
            f"Data sha256 (of {names.TABLES}) {about['data_sha256']}.",
            f"Versions: {versions}.",
        ),
        _steps(manifest),
        _tables(run.tables),
    ]
    return PROVENANCE.of(blocks)


def _folds_sentence(run: RunFolder) -> str:
    folds: pd.DataFrame = run.frame(names.FOLDS)
    psus = len(folds[["stratum", "psu"]].drop_duplicates())
    return (
        f"Folds: {folds['fold'].nunique()}, of whole primary sampling units (PSUs), so that people of one PSU are "
        f"never both in training and in validation; {psus} PSUs in {folds['stratum'].nunique()} strata, those of a "
        "stratum in different folds."
    )


def _interval_sentences(run: RunFolder) -> list[str]:
    """Say how much the interval of a person was widened, and its coverage in simulations, where there were any."""
    found = run.tuning.models[run.winner].widening
    if found is None:
        return []
    shares = [f"{', '.join(percent(share) for share in each)}" for each in (found.before, found.covered)]
    return [
        "The 90 % interval of a person comes from bootstrap refits and is widened for penalisation: "
        f"{percent(found.stretch)} of the person's distance in log-odds from the cases is added, and the standard "
        f"error is multiplied by {number(found.factor)}. In {found.draws} simulations of outcomes from known risks "
        f"the interval covered {shares[1]} of these risks, by fifth of risk from low to high; the bootstrap alone "
        f"covered {shares[0]}."
    ]


def _calibration(run: RunFolder) -> Block:
    stored = run.tuning.models[run.winner].calibration
    se = [float(stored.covariance[place][place]) ** 0.5 for place in (0, 1)]
    return text(
        f"Calibration of {model_label(run.winner)}: reported risk = 1 / (1 + exp(−({number(stored.intercept)} + "
        f"{number(stored.slope)} × linear predictor))), fitted on out-of-fold linear predictors with survey weights; standard errors "
        f"{number(se[0])} and {number(se[1])}, {stored.df} degrees of freedom. There is one linear predictor and "
        "one calibrator, so that SHAP values add up to the log-odds of the reported risk."
    )


def _calibrators(run: RunFolder) -> Block:
    found = run.calibrators
    measures = {"log_loss": 4, "calibration_slope": 2, "observed_expected": 2}
    by_map: dict[str, dict[str, CalibratorMetric]] = {}
    for record in found.records:
        by_map.setdefault(record.model, {})[record.metric] = record
    paired = {record.model: record for record in found.differences if record.metric == "log_loss"}
    rows = [
        row(
            [
                name.replace("_", "-"),
                *(interval(of_map[metric], digits=digits) for metric, digits in measures.items()),
                interval(of_map["ici"], digits=2, share=True),
                interval(paired[name], digits=5, signed=True) if name in paired else "",
            ],
            {metric: vars(each) for metric, each in of_map.items()},
        )
        for name, of_map in by_map.items()
    ]
    columns = [
        column("Calibrator", numeric=False), column("Log loss, nats"), column("Slope"), column("Observed / expected"),
        column("ICI"), column("Log loss minus that of logistic"),
    ]  # fmt: skip
    notes = [
        "People of each fold are calibrated by calibrators fitted on the other folds; 95 % intervals by the jackknife over PSUs.",
        "The model uses the logistic calibrator: with it alone contributions add up to the log-odds of the reported risk.",
        *(f"{name.replace('_', '-')} failed, because {reason}." for name, reason in found.failed.items()),
    ]
    caption = f"Calibrators of the linear predictor of {model_label(found.learner)}, development set, cross-fitted"
    return table("calibrators", caption, columns, rows, notes=notes, folded=True)


def _models(run: RunFolder) -> Block:
    ranked = sorted(run.tuning.models.items(), key=lambda item: item[1].log_loss)
    rows = []
    for place, (name, record) in enumerate(ranked, start=1):
        made_of = [
            model_label(part.part) + (f" × {number(part.scale)}" if len(record.parts) > 1 else "")
            for part in record.parts
        ]
        cells = [str(place), model_label(name), " + ".join(made_of), number(record.log_loss, digits=5)]
        rows.append(row([*cells, _span(record.fold_log_loss)], {"model": name, "log_loss": record.log_loss}))
    columns = [
        column("Rank"), column("Model", numeric=False), column("Components", numeric=False),
        column("Log loss, nats"), column("Range over folds"),
    ]  # fmt: skip
    return table(
        "models",
        f"{len(rows)} models, by weighted log loss of calibrated out-of-fold risks",
        columns,
        rows,
        notes=[
            "In a stacked ensemble the linear predictor of each component is multiplied by the number beside it; 0 means that it adds nothing.",
            "Differences between models next to each other are far smaller than differences between folds.",
        ],
    )


def _parts(run: RunFolder) -> Block:
    tried: dict[str, list[Candidate]] = {}
    for record in run.tuning.candidates:
        tried.setdefault(record.part, []).append(record)
    rows = []
    for part, records in tried.items():
        best = min(records, key=lambda record: record.loss)
        settings = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in best.params.items())
        cells = [model_label(part), str(len(records)), settings, best.measure.replace("_", " ")]
        rows.append(row([*cells, number(best.loss, digits=5), _span(best.fold_loss)], vars(best)))
    columns = [
        column("Algorithm", numeric=False), column("Settings tried"), column("Chosen", numeric=False),
        column("Score", numeric=False), column("Out of fold"), column("Range over folds"),
    ]  # fmt: skip
    return table(
        "parts",
        "Settings chosen for each algorithm, by a weighted proper score on out-of-fold predictions",
        columns,
        rows,
    )


def _span(values: Sequence[float]) -> str:
    return f"{number(min(values), digits=4)} to {number(max(values), digits=4)}"


def _steps(manifest: ManifestRecord) -> Block:
    rows = []
    for name in sorted(set(manifest.steps) - LATER):
        for output, digest in manifest.steps[name].outputs.items():
            rows.append(row([name, output, digest[:12]], {"sha256": digest}))
    columns = [column("Step", numeric=False), column("File", numeric=False), column("sha256, first 12", numeric=False)]
    return table("steps", "What each step wrote", columns, rows, folded=True)


def _tables(records: Records[TableRecord]) -> Block:
    rows = [
        row(
            [
                *(record.cycle, record.table),
                "" if record.rows is None else count(record.rows),
                *(count(record.size), record.sha256[:12]),
            ],
            vars(record),
        )
        for record in records
    ]
    columns = [
        column("Cycle", numeric=False), column("Table", numeric=False), column("Rows"), column("Bytes"),
        column("sha256, first 12", numeric=False),
    ]  # fmt: skip
    return table("tables", f"The {len(rows)} source tables", columns, rows, folded=True)


FEATURES = ReportSection("features", "Features", features, folded=True)
METHODS = ReportSection("methods", "Methods", methods, folded=True)
PROVENANCE = ReportSection("provenance", "Provenance", provenance, folded=True)
