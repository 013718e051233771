"""A bundle that scores: check, complete, predict, calibrate, give reasons. A row's answer depends on that row alone."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit

from mgrisk.errors import bad_bundle
from mgrisk.explain.attributions import Explainer, Explanation
from mgrisk.features import compute
from mgrisk.features.compute import Columns, complete_columns, to_frame
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle, recall_se, recall_share
from mgrisk.score.answers import NEXT_QUESTION, Answers, WhatIf, option_columns, option_features
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.csv.write import largest
from mgrisk.score.drift_monitor import Yardstick
from mgrisk.score.input_schema import RESULTS, Checked, Codes, check, check_columns, reason_columns, schema
from mgrisk.storage.files import to_json
from mgrisk.types import Floats, Integers, Singles

DEFAULT_REASONS: Final = 3


class Scorer:
    """Scores and explains people with one bundle.

    Parameters
    ----------
    bundle
        A loaded bundle.
    what_if
        Whether to say what options would make of each risk; what they read is then part of the contract.
    next_question
        Whether to say which absent input would leave least open were it known.
    missing
        What means missing in a cell.

    Raises
    ------
    MgRiskError
        `bundle.no_next_question` where the model is not additive, so that it cannot tell.
    """

    def __init__(
        self, bundle: Bundle, *, what_if: bool = False, next_question: bool = False, missing: Missing = MISSING
    ) -> None:
        if next_question and not isinstance(bundle.fitted, Additive):
            raise bad_bundle(
                "bundle.no_next_question",
                "the model is not additive, so that it cannot tell which input to ask for next",
                where=str(bundle.about["name"]),
                hint="leave out --next-question, or take an additive model, such as a released one",
            )
        self.bundle = bundle
        self.what_if = what_if
        self.next_question = next_question
        self.missing = missing

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of the same bundle."""
        return Explainer(self.bundle)

    @property
    def label(self) -> str:
        """What the `model` column says: the bundle's name, and SYNTHETIC where its people were made up."""
        name = str(self.bundle.about["name"])
        return f"SYNTHETIC {name}" if self.bundle.about["synthetic"] and "SYNTHETIC" not in name else name

    @cached_property
    def inputs(self) -> tuple[Feature, ...]:
        """Every feature that a scoring file may give."""
        return tuple(feature for feature in self._family if feature.given)

    @cached_property
    def _family(self) -> tuple[Feature, ...]:
        """The features of the model, those of the options where they are asked for, and all that these derive from."""
        if not self.what_if:
            return self.bundle.family
        known = {feature.name: feature for feature in (*self.bundle.family, *with_ancestors(option_features()))}
        # The bundle's own rows where both have one: they are the contract that the model was made with.
        return tuple({**known, **{feature.name: feature for feature in self.bundle.family}}.values())

    def columns(self, *, reasons: int) -> list[str]:
        """Return the names of the answer's columns."""
        asked = [NEXT_QUESTION] if self.next_question else []
        return [*RESULTS, *reason_columns(reasons), *asked, *(option_columns() if self.what_if else ())]

    @cached_property
    def yardstick(self) -> Yardstick:
        """What a batch is compared with."""
        return Yardstick(self.bundle.features, self.bundle.reference)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this bundle from any other: the sha256 of all that its answers depend on."""
        bundle = self.bundle
        content = to_json([dict(bundle.about), bundle.calibrator.to_dict(), dict(bundle.reference)]).encode()
        parts = {"": content, **bundle.fitted.to_files(), **bundle.parts}
        models = to_json(compute.to_dict(bundle.models)).encode()
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in [models, *parts.values()])).hexdigest()

    def schema(self) -> list[dict[str, Any]]:
        """Return the input contract, a row for each column, with `auroc_without` it where that was measured."""
        alone = {next(iter(each.absent)): each.auroc for each in self.bundle.patterns if len(each.absent) == 1}
        return [{**row, "auroc_without": alone.get(row["name"])} for row in schema(self.inputs)]

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
            The input's columns, then those of the answer (`columns`); same index, same order.

        Raises
        ------
        MgRiskError
            `input.missing_column`, `input.duplicate_column` or `input.column_taken`.
        """
        added = self.columns(reasons=reasons)
        check_columns(list(people.columns), self.inputs, where="the frame's columns", added=added)
        return pd.concat([people, self.results(people, reasons=reasons)], axis=1)

    def results(self, people: pd.DataFrame, *, reasons: int) -> pd.DataFrame:
        """Return the answer's columns alone; column names must have been checked."""
        return self.answer(check(people, self.inputs, self.missing), reasons=reasons).frame(people.index)

    def answer(self, checked: Checked, *, reasons: int) -> Answers:
        """Return what the bundle says of checked people."""
        n, features = len(checked), self.bundle.features
        columns = complete_columns(checked.columns, self._family, n=n, models=self.bundle.models)
        X = self.bundle.encoder.encode(columns, n=n)
        values = np.stack([columns[feature.name] for feature in features])
        found = self.bundle.predict(X)
        risk = np.stack([expit(found.log_odds), *self.bundle.interval(found), *self.bundle.interval_of_inputs(found)])
        risk[:, checked.rejected] = np.nan
        chosen = np.full((n, reasons), -1, dtype=np.int64)
        effect = np.full((n, reasons), np.nan)
        if reasons:
            contributions = found.contributions if found.contributions is not None else self.explainer.values(X).T
            largest(np.ascontiguousarray(contributions), chosen, effect)
        return Answers(
            label=self.label,
            features=features,
            rejected=checked.rejected,
            problems=self._codes.join(checked.state, checked.wrong_fields),
            risk=risk,
            used=np.isfinite(values).sum(axis=0),
            inside=self.bundle.inside(columns, n=n),
            values=values,
            feature=chosen,
            effect=effect,
            asked=self._asked(X) if self.next_question else None,
            options=self._options(columns, risk[0]) if self.what_if else None,
        )

    def _asked(self, X: Singles) -> Integers:
        assert isinstance(self.bundle.fitted, Additive)
        return self.bundle.fitted.next_inputs(X)

    def _options(self, columns: Columns, risk: Floats) -> WhatIf:
        people = to_frame(columns, option_features(), index=pd.RangeIndex(len(risk)))
        return WhatIf.of(people, risk)

    def uncertainty(self, people: pd.DataFrame) -> pd.DataFrame:
        """Say where the uncertainty of each person's risk comes from; rows of rejected people are NaN.

        Returns
        -------
        pandas.DataFrame
            `se_log_odds`, that of the scored interval; `recall_se_log_odds`, what the few recalled days of magnesium
            leave unknown (`model.bundle.recall_se`); `recall_share`, its share in the variance of both. Same index.
        """
        check_columns(list(people.columns), self.bundle.inputs, where="the frame's columns")
        checked = check(people, self.inputs, self.missing)
        _, X = self.bundle.encode(checked.values)
        sampling = self.bundle.predict(X).se
        recall = recall_se(self.bundle, checked.values)
        columns = {
            "se_log_odds": sampling,
            "recall_se_log_odds": recall,
            "recall_share": recall_share(recall, sampling),
        }
        table = pd.DataFrame(columns, index=people.index)
        table.loc[checked.rejected] = np.nan
        return table

    def explain(self, people: pd.DataFrame) -> Explanation:
        """Explain people; the rows of rejected people are NaN.

        Returns
        -------
        Explanation
            Base value plus contributions equal the logit of the reported risk.
        """
        check_columns(list(people.columns), self.bundle.inputs, where="the frame's columns")
        checked = check(people, self.inputs, self.missing)
        explanation = self.explainer.explain(checked.values.set_axis(people.index))
        explanation.values[checked.rejected] = np.nan
        explanation.base_values[checked.rejected] = np.nan
        return explanation

    @cached_property
    def _codes(self) -> Codes:
        return Codes(self.inputs)


def load_scorer(
    folder: Path | str,
    *,
    threads: int = 1,
    what_if: bool = False,
    next_question: bool = False,
    missing: Missing = MISSING,
) -> Scorer:
    """Load a bundle for scoring.

    Parameters
    ----------
    folder
        The bundle's folder.
    threads
        Threads for the margin.
    what_if, next_question, missing
        As for `Scorer`.

    Raises
    ------
    MgRiskError
        As `model.bundle.read_bundle`; exit status 5.
    """
    bundle = read_bundle(Path(folder), threads=threads)
    return Scorer(bundle, what_if=what_if, next_question=next_question, missing=missing)
