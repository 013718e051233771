"""Compare finished runs: settings, attrition, and performance of their models on the same people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.cohort import select
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.toml import read_toml
from mgrisk.errors import usage
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.intervals import replicate_metrics
from mgrisk.nhanes.codebook import KEY
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder, open_folder
from mgrisk.survey.design import WeightLevel

METRICS: Final = (
    "auroc", "log_loss", "brier", "calibration_intercept", "calibration_slope", "observed_expected", "ici",
    "net_benefit@0.05", "net_benefit@0.1",
)  # fmt: skip
SETS: Final = {HELD_OUT: HELD_OUT, DEVELOPMENT: CROSS_VALIDATED}
"""Names of the sets in a comparison; the risks of development people are cross-validated ones."""
PEOPLE: Final = "DEMO"
"""Prefix of the NHANES demographics tables, which define the participants."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of finished runs with the first of them.

    Attributes
    ----------
    runs
        The run folders by their names in the tables; the first is the reference.
    models
        Name of the chosen model of each run.
    settings
        Settings that differ: one row per setting, one column per run; empty if a run does not have the setting.
    attrition
        Number of people after each eligibility rule: one row per set and rule, one column per run.
    metrics
        Metrics of the chosen models, each on the people of its own run: run, model, set, metric, estimate, low, high,
        n, events.
    differences
        Metrics of a run minus those of the reference, on the people in both: run, reference, set, metric, estimate,
        low, high, se, n, events, problem. Paired 95 % intervals from the jackknife over PSUs.
    not_compared
        Sets whose people are not comparable: run, reference, set, reason.
    """

    runs: Mapping[str, RunFolder]
    models: Mapping[str, str]
    settings: pd.DataFrame
    attrition: pd.DataFrame
    metrics: pd.DataFrame
    differences: pd.DataFrame
    not_compared: pd.DataFrame

    @property
    def reference(self) -> str:
        """Name of the run that the others are compared with."""
        return next(iter(self.runs))

    def frame(self) -> pd.DataFrame:
        """Return the paired differences."""
        return self.differences

    def to_dict(self) -> dict[str, Any]:
        """Return all tables as lists of records."""
        tables = {
            "settings": self.settings.reset_index(),
            "attrition": self.attrition.reset_index(),
            "metrics": self.metrics,
            "differences": self.differences,
            "not_compared": self.not_compared,
        }
        rows = {
            name: table.astype(object).where(table.notna(), None).to_dict("records") for name, table in tables.items()
        }
        folders = {name: str(run.folder) for name, run in self.runs.items()}
        return {"runs": folders, "models": dict(self.models), **rows}

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.runs)}: {len(self.settings)} setting(s) differ>"

    def _repr_html_(self) -> str:
        shown = self.differences.assign(
            difference=[
                f"{row.estimate:+.4f} ({row.low:+.4f} to {row.high:+.4f})" for row in self.differences.itertuples()
            ]
        )
        columns = ["run", "reference", "set", "metric", "difference", "n", "events"]
        tables = (self.settings.reset_index(), shown[columns], self.not_compared)
        return "".join(table.to_html(index=False) for table in tables if len(table))


def compare_runs(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Compare settings, attrition and chosen models of finished runs, the models on the people in both runs.

    Parameters
    ----------
    runs
        Run folders, or results of `open_run`; the first is the reference.

    Returns
    -------
    Comparison

    Raises
    ------
    MgRiskError
        `compare.few_runs`, `report.no_run`; those of a run folder with a missing file.

    Examples
    --------
    >>> compare_runs(["runs/a"])
    Traceback (most recent call last):
    mgrisk.errors.MgRiskError: a comparison needs two runs or more, got 1 [compare.few_runs]
    where: runs/a
    to do: name two run folders, such as runs/demo and runs/other
    """
    if len(runs) < 2:
        raise usage(
            "compare.few_runs",
            "a comparison needs two runs or more",
            where=", ".join(os.fspath(run) for run in runs),
            hint="name two run folders, such as runs/demo and runs/other",
            got=str(len(runs)),
        )
    folders = [open_folder(run) for run in runs]
    short = [run.folder.resolve().name for run in folders]
    called = short if len(set(short)) == len(short) else [str(run.folder) for run in folders]
    named = dict(zip(called, folders, strict=True))
    reference, *others = named
    compared = [(name, set_name) for name in others for set_name in SETS]
    reasons = {(name, set_name): why_not(named[reference], named[name], set_name) for name, set_name in compared}
    differences = [
        {"run": name, "reference": reference, "set": SETS[set_name], **record}
        for (name, set_name), reason in reasons.items()
        if not reason
        for record in _differences(named[reference], named[name], set_name)
    ]
    refused = [
        {"run": name, "reference": reference, "set": SETS[set_name], "reason": reason}
        for (name, set_name), reason in reasons.items()
        if reason
    ]
    return Comparison(
        runs=named,
        models={name: run.winner for name, run in named.items()},
        settings=_settings(named),
        attrition=_attrition(named),
        metrics=pd.DataFrame([row for name, run in named.items() for row in _metrics(name, run)]),
        differences=pd.DataFrame(differences, columns=["run", "reference", "set", *OF_DIFFERENCE]),
        not_compared=pd.DataFrame(refused, columns=["run", "reference", "set", "reason"]),
    )


OF_DIFFERENCE: Final = ("metric", "estimate", "low", "high", "se", "n", "events", "problem")


def why_not(first: RunFolder, second: RunFolder, set_name: str) -> str:
    """Return why the models of two runs cannot be compared on the same people of a set; empty if they can.

    Parameters
    ----------
    first, second
        The runs.
    set_name
        ``development`` or ``held-out``.
    """
    labels = [run.data_label for run in (first, second)]
    if labels[0] != labels[1]:
        return f"they have different data: {labels[0]} and {labels[1]}"
    outcomes = [run.cohort.outcome for run in (first, second)]
    if outcomes[0].name != outcomes[1].name:
        return f"they predict different outcomes: {outcomes[0].label} and {outcomes[1].label}"
    tables = [_tables_of_people(run) for run in (first, second)]
    shared = tables[0].keys() & tables[1].keys()
    if not shared:
        return "they have no source table in common, so that a SEQN may be another person"
    if other := sorted(name for name in shared if tables[0][name] != tables[1][name]):
        return f"the source table {other[0]} differs between them, so that a SEQN may be another person"
    both = _both(first, second, set_name)
    if both.empty:
        return "no person is in this set in both runs"
    changed = int((both["outcome_first"] != both["outcome_second"]).sum())
    if changed:
        return f"{changed:,} of {len(both):,} people have different outcomes in the two runs"
    if both["outcome_first"].nunique() < 2:
        return f"all {len(both):,} people in this set in both runs have the same outcome"
    return ""


def _tables_of_people(run: RunFolder) -> dict[str, str]:
    tables = list(run.tables)
    of_people = [each for each in tables if each.table.startswith(PEOPLE)] or tables
    return {f"{each.table} of {each.cycle}" if each.cycle else each.table: each.sha256 for each in of_people}


def _both(first: RunFolder, second: RunFolder, set_name: str) -> pd.DataFrame:
    """Return outcome and risk in each run of the people of a set who are in the analysis of both."""
    found = []
    for run in (first, second):
        people = run.predictions
        of_set = people.loc[people["set"] == set_name, [KEY, "outcome", run.winner]]
        found.append(of_set.rename(columns={run.winner: "risk"}))
    return found[0].merge(found[1], on=KEY, suffixes=("_first", "_second"), validate="one_to_one")


def _differences(first: RunFolder, second: RunFolder, set_name: str) -> Iterator[dict[str, Any]]:
    both = _both(first, second, set_name)
    # People with a weight in both runs are in the smaller subsample, whose weights and design are used.
    run = max((first, second), key=lambda each: WeightLevel(each.cohort.weight_level).rank)
    level = WeightLevel(run.cohort.weight_level)
    rows, design = select.design(run.frame(names.COHORT_PEOPLE), level=level, set_name=set_name)
    placed = rows[[KEY]].merge(both, on=KEY, how="left", validate="one_to_one")
    inside = design.where(placed["risk_first"].notna().to_numpy())
    y = placed["outcome_first"].fillna(0.0).to_numpy(dtype=np.float64)
    risks = {name: placed[f"risk_{name}"].to_numpy(dtype=np.float64) for name in ("first", "second")}
    for record in replicate_metrics(y, risks, inside, metrics=METRICS).differences("first"):
        yield {name: record[name] for name in OF_DIFFERENCE}


def _metrics(name: str, run: RunFolder) -> Iterator[dict[str, Any]]:
    for set_name, evaluated in ((HELD_OUT, run.held_out_name), (CROSS_VALIDATED, CROSS_VALIDATED)):
        for metric in METRICS:
            for record in run.evaluation.where(model=run.winner, set=evaluated, metric=metric, group="all"):
                values = {field: getattr(record, field) for field in OF_DIFFERENCE}
                yield {"run": name, "model": run.winner, "set": set_name, **values}


def _settings(runs: Mapping[str, RunFolder]) -> pd.DataFrame:
    flat = {name: dict(_flat(_resolved(run))) for name, run in runs.items()}
    every = dict.fromkeys(key for settings in flat.values() for key in settings)
    table = pd.DataFrame(
        {name: [settings.get(key, "") for key in every] for name, settings in flat.items()},
        index=pd.Index(every, name="setting", dtype=object),
        dtype=object,
    )
    return table[[len(set(row)) > 1 for row in table.itertuples(index=False)]]


def _resolved(run: RunFolder) -> dict[str, Any]:
    return read_toml(
        run.path(names.RESOLVED), kind="resolved pipeline", prefix="compare", hint="run the pipeline again"
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _attrition(runs: Mapping[str, RunFolder]) -> pd.DataFrame:
    rows = [
        {"set": step.set, "rule": step.rule, "run": name, "n": step.n, "place": place}
        for name, run in runs.items()
        for place, step in enumerate(run.attrition)
    ]
    # Corresponding rules with different values, such as another age, are kept next to each other.
    table = pd.DataFrame(rows).sort_values("place", kind="stable")
    wide = table.pivot(index=["set", "rule"], columns="run", values="n").astype("Int64")
    order = pd.MultiIndex.from_frame(table[["set", "rule"]].drop_duplicates().sort_values("set", kind="stable"))
    return wide.loc[order, list(runs)].rename_axis(columns=None)
