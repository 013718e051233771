"""A bundle that scores: check, complete, predict, calibrate, give reasons. A row's answer depends on that row alone."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.explain.attributions import Explainer, Explanation
from mgrisk.model.bundle import Bundle, load_bundle
from mgrisk.model.recall_error import recall_se, recall_share
from mgrisk.score.contract import SEPARATOR, Checked, check, check_columns, join_codes, reason_columns, schema

DEFAULT_REASONS: Final = 3


class Scorer:
    """Scores and explains people with one bundle.

    Parameters
    ----------
    bundle
        A loaded bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of the same bundle."""
        return Explainer(self.bundle)

    @property
    def label(self) -> str:
        """What the `model` column says: the bundle's name, and SYNTHETIC where its people were made up."""
        name = str(self.bundle.about["name"])
        return f"SYNTHETIC {name}" if self.bundle.about["synthetic"] and "SYNTHETIC" not in name else name

    def schema(self) -> list[dict[str, Any]]:
        """Return the input contract."""
        return schema(self.bundle.inputs)

    def score(self, people: pd.DataFrame, *, reasons: int = DEFAULT_REASONS) -> pd.DataFrame:
        """Score people.

        Parameters
        ----------
        people
            Columns as in `schema`; others pass through.
        reasons
            How many of the largest contributions to give.

        Returns
        -------
        pandas.DataFrame
            The input's columns, then those of the scoring file (interface.md); same index, same order.

        Raises
        ------
        MgRiskError
            `input.missing_column`, `input.duplicate_column` or `input.column_taken`.
        """
        check_columns(list(people.columns), self.bundle.inputs, where="the frame's columns", reasons=reasons)
        return pd.concat([people, self.results(people, reasons=reasons)], axis=1)

    def results(self, people: pd.DataFrame, *, reasons: int) -> pd.DataFrame:
        """Return the answer's columns alone; column names must have been checked."""
        checked = check(people, self.bundle.inputs)
        usable = ~checked.rejected
        frame, X = self.bundle.encode(checked.values)
        margin = self.bundle.fitted.margin(X)
        low, high = self.bundle.interval(margin, self.bundle.standard_error(X, margin))
        domain = self.bundle.in_domain(frame)
        columns: dict[str, Any] = {
            "status": np.where(usable, "scored", "rejected"),
            "problems": self._problems(checked, frame),
            "risk": np.where(usable, self.bundle.calibrator.risk(margin), np.nan),
            "risk_low": np.where(usable, low, np.nan),
            "risk_high": np.where(usable, high, np.nan),
            "in_domain": np.where(usable, np.where(domain, "yes", "no"), ""),
            "model": np.full(len(people), self.label, dtype=object),
        }
        if reasons:
            columns |= self._reasons(frame, self.explainer.values(X), usable, reasons)
        return pd.DataFrame(columns, index=people.index)

    def uncertainty(self, people: pd.DataFrame) -> pd.DataFrame:
        """Say where the uncertainty of each person's risk comes from; rows of rejected people are NaN.

        Returns
        -------
        pandas.DataFrame
            `se_log_odds`, that of the scored interval; `recall_se_log_odds`, what the few recalled days of magnesium
            leave unknown (`model.recall_error`); `recall_share`, its share in the variance of both. Same index.
        """
        check_columns(list(people.columns), self.bundle.inputs, where="the frame's columns")
        checked = check(people, self.bundle.inputs)
        _, X = self.bundle.encode(checked.values)
        sampling = self.bundle.standard_error(X, self.bundle.fitted.margin(X))
        recall = recall_se(self.bundle, checked.values)
        columns = {
            "se_log_odds": sampling,
            "recall_se_log_odds": recall,
            "recall_share": recall_share(recall, sampling),
        }
        return pd.DataFrame(columns, index=people.index).mask(checked.rejected)

    def explain(self, people: pd.DataFrame) -> Explanation:
        """Explain people; the rows of rejected people are NaN.

        Returns
        -------
        Explanation
            Base value plus contributions equal the logit of the reported risk.
        """
        check_columns(list(people.columns), self.bundle.inputs, where="the frame's columns")
        checked = check(people, self.bundle.inputs)
        explanation = self.explainer.explain(checked.values)
        explanation.values[checked.rejected] = np.nan
        return explanation

    def _problems(self, checked: Checked, frame: pd.DataFrame) -> NDArray[np.object_]:
        """Add to the codes of scored rows what is missing: the risk stands, with less behind it."""
        absent = [
            (f"missing:{feature.name}", frame[feature.name].isna().to_numpy() & ~checked.rejected)
            for feature in self.bundle.features
        ]
        notes = join_codes(absent, len(frame))
        both = (checked.problems != "") & (notes != "")
        joined: NDArray[np.object_] = checked.problems + np.where(both, SEPARATOR, "").astype(object) + notes
        return joined

    def _reasons(
        self, frame: pd.DataFrame, values: NDArray[np.float64], usable: NDArray[np.bool_], reasons: int
    ) -> dict[str, Any]:
        names = np.array([feature.name for feature in self.bundle.features], dtype=object)
        shown = np.column_stack([_as_text(frame[name]) for name in names])
        # A stable sort: equal contributions keep the registry's order, whatever else is in the batch.
        order = np.argsort(-np.abs(values), axis=1, kind="stable")
        columns: dict[str, Any] = {}
        rows = np.arange(len(frame))
        for k in range(reasons):
            name, value, effect = reason_columns(reasons)[3 * k : 3 * k + 3]
            if k >= len(names):
                columns |= {name: "", value: "", effect: np.full(len(frame), np.nan)}
                continue
            chosen = order[:, k]
            columns[name] = np.where(usable, names[chosen], "")
            columns[value] = np.where(usable, shown[rows, chosen], "")
            columns[effect] = np.where(usable, values[rows, chosen], np.nan)
        return columns


def _as_text(column: pd.Series) -> NDArray[np.object_]:
    text = [("" if pd.isna(value) else f"{value:.10g}" if isinstance(value, float) else str(value)) for value in column]
    return np.array(text, dtype=object)


def load_scorer(folder: Path | str, *, threads: int = 1) -> Scorer:
    """Load a bundle for scoring.

    Parameters
    ----------
    folder
        The bundle's folder.
    threads
        Threads for the margin.

    Raises
    ------
    MgRiskError
        As `model.bundle.load_bundle`; exit status 5.
    """
    return Scorer(load_bundle(Path(folder), threads=threads))
