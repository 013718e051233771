"""Is it the same story elsewhere? Ranks over other people, reasons by other learners, importance by subgroup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mgrisk.features.registry import FEATURES
from mgrisk.report.blocks import Block, Section, column, row, section, table, text
from mgrisk.report.formats import interval, level_label, model_label, number, percent
from mgrisk.report.run_files import Record, RunFiles

FIRM: Final = 0.8  # share of people with the same first reason from which two learners are said to agree


def story(files: RunFiles, records: list[Record]) -> Section:
    """Describe how far the drivers hold for other people and by other learners.

    Parameters
    ----------
    files
        Of the run.
    records
        Importance records of the held-out set, most important first.
    """
    return section(
        "drivers-story",
        "How far the story holds",
        [*_learners(files, records), _ranks(files, records), *_subgroups(files, records)],
    )


def _ranks(files: RunFiles, records: list[Record]) -> Block:
    across = files.explanation_summary["across_learners"]
    rows = [
        row(
            [
                record["label"],
                number(record["rank"], digits=0),
                _range({"low": record["rank_low"], "high": record["rank_high"]}),
                percent(record["among_first"], digits=0),
                _range(across["ranks"][record["feature"]]) if across else "one learner",
            ],
            record,
        )
        for record in records
    ]
    return table(
        "ranks",
        "Rank of each feature's importance, and its range over 500 redrawn samples of PSUs",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("95 % range"),
            column("Among the first three"),
            column("Range over learners"),
        ],
        rows,
        notes=[
            "The model is the same in all samples: the 95 % range says how the order depends on who was drawn to be explained, "
            "not on who was drawn to train on. The range over learners says how it depends on the kind of model."
        ],
        folded=True,
    )


def _range(ranks: Mapping[str, float]) -> str:
    return f"{number(ranks['low'], digits=0)} to {number(ranks['high'], digits=0)}"


def _learners(files: RunFiles, records: list[Record]) -> list[Block]:
    compared: list[dict[str, Any]] = files.explanation_summary["agreement"]
    if not compared:
        return [text("The run has one learner: there is no other to compare its reasons with.")]
    winner = model_label(files.winner)
    sentences = [
        f"{model_label(each['learner'])} gives {percent(each['same_first'], digits=0)} of the population the same first "
        f"reason as {winner} and has {percent(each['in_common'], digits=0)} of the first three reasons in common."
        for each in compared
    ]
    if len(compared) > 1:
        always = percent(files.explanation_summary["across_learners"]["always_first"], digits=0)
        sentences.append(f"{always} of the population have the same first reason by all {len(compared) + 1} learners.")
    if min(each["same_first"] for each in compared) < FIRM:
        sentences.append(
            "So a person's reasons are those of this learner, and another one that predicts as well may differ."
        )
    columns = [column("Learner", numeric=False), column("Same first reason"), column("First three in common"),
               column("Correlation of log-odds"), column("Rank correlation of importance")]  # fmt: skip
    rows = [
        row(
            [
                model_label(each["learner"]),
                percent(each["same_first"], digits=0),
                percent(each["in_common"], digits=0),
                number(each["log_odds"], digits=2),
                number(each["importance"], digits=2),
            ],
            each,
        )
        for each in compared
    ]
    by_feature = [
        row(
            [record["label"], *(_correlation(each["features"][record["feature"]]) for each in compared)],
            {each["learner"]: each["features"][record["feature"]] for each in compared},
        )
        for record in records
    ]
    return [
        text(*sentences),
        table("agreement", f"Do other learners give the reasons of {winner}? Held-out people, weighted", columns, rows),
        table(
            "agreement-features",
            f"Correlation of each feature's contributions with those of {winner}",
            [column("Feature", numeric=False), *(column(model_label(each["learner"])) for each in compared)],
            by_feature,
            notes=["Low where two features share what they know and each learner divides it in its own way."],
            folded=True,
        ),
    ]


def _correlation(value: float | None) -> str:
    return "not used" if value is None else number(value, digits=2)


def _subgroups(files: RunFiles, records: list[Record]) -> list[Block]:
    found: dict[str, dict[str, dict[str, Record]]] = {}
    for record in files.explanation_summary["subgroups"]:
        found.setdefault(record["by"], {}).setdefault(record["level"], {})[record["feature"]] = record
    blocks = []
    for by, levels in found.items():
        label = FEATURES[by].label
        rows = [
            row(
                [record["label"], *(_importance(of_level[record["feature"]]) for of_level in levels.values())],
                {level: of_level[record["feature"]] for level, of_level in levels.items()},
            )
            for record in records
        ]
        named = [
            column(f"{level_label(level)} (n = {next(iter(of_level.values()))['n']:,})")
            for level, of_level in levels.items()
        ]
        blocks.append(
            table(
                f"subgroups-{by}",
                f"Mean |contribution| by {label.lower()}, held-out people (95 % interval)",
                [column("Feature", numeric=False), *named],
                rows,
                notes=["Not shown for fewer than 30 people (NCHS)."],
                folded=True,
            )
        )
    return blocks


def _importance(record: Record) -> str:
    return "too few" if record["problem"] else interval({**record, "estimate": record["importance"]}, digits=2)
