"""Batch scoring: stream a table through a scorer, one output row for each input row, and count what happened."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgrisk.artifacts import write_json
from mgrisk.errors import bad_input
from mgrisk.score.contract import SEPARATOR, check_columns
from mgrisk.score.scorer import Scorer
from mgrisk.score.tables import STREAM, WRONG_FIELDS, Batch, open_sink, open_source


@dataclass
class Summary:
    """What a batch came to; written beside the output as <output>.summary.json.

    Attributes
    ----------
    rows, scored, rejected, outside_domain
        Counts of rows.
    problems
        How often each code stood.
    risk_sum
        Sum of the risks of scored rows.
    about
        Model, base value and data label.
    """

    about: dict[str, Any]
    rows: int = 0
    scored: int = 0
    rejected: int = 0
    outside_domain: int = 0
    risk_sum: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, results: pd.DataFrame) -> None:
        """Count a batch."""
        scored = results["status"] == "scored"
        self.rows += len(results)
        self.scored += int(scored.sum())
        self.rejected += int((~scored).sum())
        self.outside_domain += int((results["in_domain"] == "no").sum())
        self.risk_sum += float(results.loc[scored, "risk"].sum())
        for codes, count in results["problems"].value_counts().items():
            for code in str(codes).split(SEPARATOR) if codes else ():
                self.problems[code] += int(count)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the summary file."""
        return {
            **self.about,
            "rows": self.rows,
            "scored": self.scored,
            "rejected": self.rejected,
            "outside_domain": self.outside_domain,
            "mean_risk": self.risk_sum / self.scored if self.scored else None,
            "problems": dict(self.problems.most_common()),
        }


def score_table(
    scorer: Scorer,
    source: str,
    target: str,
    *,
    reasons: int,
    rejects: str | None = None,
    strict: bool = False,
) -> Summary:
    """Score a file into a file.

    Parameters
    ----------
    scorer
        The model.
    source, target
        CSV or Parquet by suffix; ``-`` for standard input and output.
    reasons
        How many reasons to give.
    rejects
        CSV of rejected rows: row number (1 is the first below the header), problems, and the row as it was, as JSON.
    strict
        Stop at the first rejected row, leaving no output.

    Raises
    ------
    MgRiskError
        For files that cannot be read, understood or written, and `input.rejected_row` with `strict`.
    """
    about = {
        "model": scorer.label,
        "data": scorer.bundle.about["data"],
        "input": source,
        "base_value": scorer.explainer.base_value if reasons else None,
        "explained_scale": "calibrated log-odds",
    }
    summary = Summary(about)
    with ExitStack() as stack:
        table = stack.enter_context(open_source(source))
        check_columns(table.columns, scorer.bundle.inputs, where=source, reasons=reasons)
        sink = stack.enter_context(open_sink(target))
        refused = stack.enter_context(open_sink(rejects)) if rejects else None
        if refused is not None:
            refused.write(_rejected_rows(Batch(pd.DataFrame()), pd.DataFrame(), first_row=1))
        for batch in table.batches():
            results = _answer(scorer, batch, reasons)
            if strict:
                _stop_at_rejected(results, first_row=summary.rows + 1, where=source)
            sink.write(pd.concat([batch.people, results], axis=1))
            if refused is not None:
                refused.write(_rejected_rows(batch, results, first_row=summary.rows + 1))
            summary.add(results)
        if not summary.rows:
            nobody = pd.DataFrame(columns=table.columns, dtype=object)
            sink.write(pd.concat([nobody, scorer.results(nobody, reasons=reasons)], axis=1))
    if target != STREAM:
        write_json(Path(f"{target}.summary.json"), summary.to_dict())
    return summary


def validate_table(scorer: Scorer, source: str) -> Summary:
    """Apply the contract alone to a file: what `score_table` would reject or flag, counted."""
    summary = Summary({"model": scorer.label, "data": scorer.bundle.about["data"], "input": source})
    with open_source(source) as table:
        check_columns(table.columns, scorer.bundle.inputs, where=source)
        for batch in table.batches():
            summary.add(_answer(scorer, batch, reasons=0))
    return summary


def _answer(scorer: Scorer, batch: Batch, reasons: int) -> pd.DataFrame:
    results = scorer.results(batch.people, reasons=reasons)
    for position, cells in batch.ragged.items():
        # A shifted row may hold plausible values in the wrong columns: none of them is to be believed.
        results.loc[position] = np.nan
        for name in results.columns[results.dtypes != np.float64]:
            results.loc[position, name] = ""
        results.loc[position, ["status", "model"]] = ["rejected", scorer.label]
        results.loc[position, "problems"] = f"{WRONG_FIELDS}:{len(cells)}"
    return results


def _stop_at_rejected(results: pd.DataFrame, *, first_row: int, where: str) -> None:
    rejected = np.flatnonzero(results["status"] == "rejected")
    if len(rejected):
        position = int(rejected[0])
        raise bad_input(
            "input.rejected_row",
            f"row {first_row + position} is rejected: {results['problems'].iloc[position]}",
            where=where,
            hint="mend the row, or leave out --strict to have it marked in the output",
        )


def _rejected_rows(batch: Batch, results: pd.DataFrame, *, first_row: int) -> pd.DataFrame:
    positions = np.flatnonzero(results["status"] == "rejected") if len(results) else np.empty(0, dtype=np.int64)
    names = list(batch.people.columns)
    originals = []
    for position in positions:
        cells = batch.ragged.get(int(position))
        row = dict(zip(names, batch.people.iloc[position], strict=True)) if cells is None else cells
        originals.append(json.dumps(row, ensure_ascii=False, default=str))
    return pd.DataFrame(
        {
            "row": positions + first_row,
            "problems": results["problems"].to_numpy()[positions] if len(results) else [],
            "original": originals,
        }
    )
