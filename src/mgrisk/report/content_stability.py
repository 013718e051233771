"""Whether the reasons would stay, had other people been drawn: ranks and first reasons over refits of the model."""

from __future__ import annotations

from typing import Final

from mgrisk.report.blocks import ABSENT, Section, column, missing, row, section, table, text
from mgrisk.report.formats import number, percent
from mgrisk.report.run_files import Record, RunFiles

HEADING: Final = "How firm the reasons are"


def stability(files: RunFiles, records: list[Record]) -> Section:
    """Describe what refits of the model make of importance and of first reasons.

    Parameters
    ----------
    files
        Of the run.
    records
        Importance of the features, the largest first.
    """
    if not files.has("stability.json"):
        reason = "the run has no refits of its model: they came with a later version"
        return missing("stability", HEADING, reason, status=ABSENT)
    ways = files.mapping("stability.json")["ways"]
    rows = [
        row(
            [
                str(way["label"]),
                str(way["refits"]),
                percent(way["same_first"]),
                percent(way["in_common"]),
                percent(way["always_first"]),
                number(way["log_odds"], digits=3),
            ],
            {name: way[name] for name in ("refits", "same_first", "in_common", "always_first", "log_odds")},
        )
        for way in ways
    ]
    shares = table(
        "stability-ways",
        "Refits of the reported model, and whether the reasons of held-out people stay",
        [
            column("What changes", numeric=False),
            column("Refits"),
            column("Same first reason"),
            column("First three in common"),
            column("Same first reason in all"),
            column("Lowest correlation of log-odds"),
        ],
        rows,
        notes=[
            f"Weighted shares of people. {_seed_note(ways)}",
            "A refit on redrawn PSUs has in two-PSU strata half the sample: reasons move more than two whole samples would make them.",
        ],
    )
    ranks = table(
        "stability-ranks",
        "Rank of importance over the people, and over refits",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("Other people, same model (95 %)"),
            *(column(str(way["label"])) for way in ways),
        ],
        [_ranks(record, ways) for record in records],
        folded=True,
    )
    said = text(
        "The model was fitted again on other draws of the sampling units, without one fold, and with other seeds; settings, scales and calibration were held. "
        "In the table of people each person's first reason says in how many of these refits it stays.",
    )
    return section("stability", HEADING, [said, shares, ranks])


def _ranks(record: Record, ways: list[Record]) -> Record:
    name = record["feature"]
    cells = [str(record["label"]), number(record["rank"], digits=0), _range(record["rank_low"], record["rank_high"])]
    cells += [_range(way["ranks"][name]["low"], way["ranks"][name]["high"]) for way in ways]
    raw = {way["way"]: way["ranks"][name] for way in ways}
    return row(cells, {"feature": name, "rank": record["rank"], **raw})


def _range(low: float, high: float) -> str:
    return number(low, digits=0) if low == high else f"{number(low, digits=0)} to {number(high, digits=0)}"


def _seed_note(ways: list[Record]) -> str:
    still = [way for way in ways if way["way"] == "seed" and way["moved"] == 0.0]
    return "Nothing in this learner is drawn: another seed gives the same fit." if still else ""
