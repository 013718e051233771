"""Score and explain people with a bundle: check, complete, predict and calibrate. Each row is scored independently."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.errors import bad_bundle, bad_input, few, usage
from mgrisk.explain.attributions import PART, Explainer, Explanation
from mgrisk.features import compute
from mgrisk.features.compute import Columns, complete_columns, to_frame
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.features.usual_magnesium import BAND, MODEL, UsualMagnesium
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.recall_error import recall_se, recall_share
from mgrisk.score.answers import NEXT_QUESTION, Answers, WhatIf, option_columns, option_features
from mgrisk.score.cells import MISSING, Missing
from mgrisk.score.column_names import unused_columns
from mgrisk.score.contradictions import mark_contradictions
from mgrisk.score.csv.write import largest
from mgrisk.score.drift_monitor import ReferenceBins
from mgrisk.score.eligibility import Exclusion, exclusions, mark_excluded, with_exclusions
from mgrisk.score.frames import as_frame
from mgrisk.score.input_schema import (
    RESULTS,
    SCORED,
    STATUSES,
    Checked,
    Codes,
    check,
    check_columns,
    reason_columns,
    schema,
)
from mgrisk.storage.files import SUMS, sha256, to_json
from mgrisk.types import Floats, Integers, Singles

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from mgrisk.explain.for_shap import ShapExplanation

DEFAULT_REASONS: Final = 3
MOST_REASONS: Final = 100
DIGEST_SIGNS: Final = 12
PERSON: Final = "person_id"
"""The column that identifies people; never reported as an unused input."""


class Scorer:
    """Predicts, scores and explains with one bundle, as a fitted binary classifier of scikit-learn.

    Parameters
    ----------
    bundle
        A loaded bundle.
    what_if
        Whether to add risks under what-if options; their inputs are then part of the input schema.
    next_question
        Whether to add the missing input that would reduce uncertainty most.
    missing
        Words and codes that mean missing.
    digest
        The sha256 of the SHA256SUMS of the bundle's folder; empty for a bundle without a folder.
    model_digest
        Whether the column `model` has its first characters after the name.

    Raises
    ------
    MgRiskError
        `bundle.no_next_question` if the model is not additive.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        what_if: bool = False,
        next_question: bool = False,
        missing: Missing = MISSING,
        digest: str = "",
        model_digest: bool = False,
    ) -> None:
        if next_question and not isinstance(bundle.fitted, Additive):
            raise bad_bundle(
                "bundle.no_next_question",
                "only an additive model can name the input to ask for next",
                where=str(bundle.about["name"]),
                hint="leave out --next-question, or use an additive model, such as a released one",
            )
        self.bundle = bundle
        self.what_if = what_if
        self.next_question = next_question
        self.missing = missing
        self.digest = digest
        self.model_digest = model_digest
        self._last_columns: list[str] = []
        if PART in bundle.parts:
            # Read now, so that a damaged one is refused before scoring.
            self.explainer = Explainer(bundle)

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of the same bundle."""
        return Explainer(self.bundle)

    @property
    def stamp(self) -> str:
        """Text of the column `model`: the label, and the first characters of the digest if requested."""
        return f"{self.label}=={self.digest[:DIGEST_SIGNS]}" if self.model_digest else self.label

    @property
    def label(self) -> str:
        """The name of the bundle, with SYNTHETIC if it was developed on made-up people."""
        name = str(self.bundle.about["name"])
        return f"SYNTHETIC {name}" if self.bundle.about["synthetic"] and "SYNTHETIC" not in name else name

    @cached_property
    def inputs(self) -> tuple[Feature, ...]:
        """All features that the answer may depend on."""
        return tuple(feature for feature in self._family if feature.given)

    @cached_property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """People to whom the model does not apply, by column of a scoring file."""
        return exclusions(self.bundle.about)

    @cached_property
    def schema_features(self) -> tuple[Feature, ...]:
        """All columns of the input schema: the inputs and the exclusion columns."""
        return with_exclusions(self.inputs, self.exclusions)

    @cached_property
    def _family(self) -> tuple[Feature, ...]:
        """The features of the model and of requested options, and the features that these derive from."""
        if not self.what_if:
            return self.bundle.family
        known = {feature.name: feature for feature in (*self.bundle.family, *with_ancestors(option_features()))}
        # The bundle's definition of a feature takes precedence, since the model was developed with it.
        return tuple({**known, **{feature.name: feature for feature in self.bundle.family}}.values())

    @property
    def classes_(self) -> Integers:
        """The classes of the columns of `predict_proba`: 0, not a case, and 1, a case."""
        return np.array([0, 1])

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the inputs; inputs that are not required may be missing from a frame."""
        return np.array([feature.name for feature in self.inputs], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    def fit(self, people: object, y: object = None) -> NoReturn:
        """Refuse to fit: scikit-learn requires the method, but the model of a bundle is already fitted.

        Raises
        ------
        MgRiskError
            `bundle.is_fitted`; exit status 5.
        """
        raise bad_bundle(
            "bundle.is_fitted",
            "the model of a bundle is already fitted",
            where=self.label,
            hint="fit a new model with mgrisk.run, or recalibrate this one with `mgrisk recalibrate`",
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # slow to import, not needed for scoring

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(allow_nan=True, string=True),
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the model: {name, version (of mgrisk that wrote it), sha256, parent, holds_for}."""
        about = self.bundle.about
        return {
            "name": about["name"],
            "version": about["mgrisk"],
            "sha256": self.digest or None,
            "parent": about.get("parent"),
            "holds_for": about.get("holds_for") or None,
        }

    def __repr__(self) -> str:
        about = self.bundle.about
        return f"<{self.label}: {about['outcome']['label']}, {about['learner']}, {self.n_features_in_} inputs>"

    def _repr_html_(self) -> str:
        about = self.bundle.about
        rows = {
            "predicts": f"{about['outcome']['definition']}, as a calibrated probability",
            "developed on": f"{about['people']:,} people of {about['data']} {', '.join(about['cycles'])}",
            "algorithm": about["learner"],
            "inputs": ", ".join(f"{f.name} (required)" if f.required else f.name for f in self.inputs),
            "not for people": ", ".join(each.says for each in self.exclusions) or "none recorded",
        }
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(row))}</td></tr>" for name, row in rows.items())
        return f"<table><caption>{escape(self.label)}</caption>{cells}</table>"

    def predict_proba(self, people: object) -> Floats:
        """Predict risks like a scikit-learn classifier.

        Parameters
        ----------
        people
            As for `score`.

        Returns
        -------
        ndarray
            Shape (n, 2): one minus the calibrated risk, and the risk.

        Raises
        ------
        MgRiskError
            `input.rejected_rows` with rows and codes if the input schema rejects a row or the model does not apply to a
            person, since a probability has no status; `score` returns the risks of the other rows. Those of `score`.
        """
        answers = self.results(people, reasons=0)
        without = answers["status"] != STATUSES[SCORED]
        if without.any():
            reasons_of_rows = [f"{row}: {why}" for row, why in enumerate(answers["problems"]) if without.iloc[row]]
            raise bad_input(
                "input.rejected_rows",
                f"{int(without.sum()):,} of {len(answers):,} rows cannot be scored",
                where=f"rows of the frame, counted from 0: {few(reasons_of_rows)}",
                hint="correct or drop these rows, or use `score`, whose column `status` marks them",
            )
        risk = answers["risk"].to_numpy(dtype=np.float64)
        return np.column_stack([1.0 - risk, risk])

    def columns(self, *, reasons: int) -> list[str]:
        """Return the names of the columns of an answer.

        Raises
        ------
        MgRiskError
            `score.reasons` if the number is negative or above `MOST_REASONS`; exit status 2.
        """
        if not 0 <= reasons <= MOST_REASONS:
            raise usage(
                "score.reasons",
                "the number of reasons is out of range",
                where="reasons",
                expected=f"0 to {MOST_REASONS}",
                got=str(reasons),
                hint="ask for fewer",
            )
        asked = [NEXT_QUESTION] if self.next_question else []
        habit = BAND if self._usual_magnesium else ()
        options = [*habit, *option_columns()] if self.what_if else []
        return [*RESULTS, *reason_columns(reasons), *asked, *options]

    @cached_property
    def reference_bins(self) -> ReferenceBins:
        """The bins of the reference that a batch is compared with."""
        return ReferenceBins(self.bundle.features, self.bundle.drift_reference)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of everything in the bundle that its answers depend on."""
        bundle = self.bundle
        content = to_json([dict(bundle.about), bundle.calibrator.to_dict(), dict(bundle.reference)]).encode()
        parts = {"": content, **bundle.fitted.to_files(), **bundle.parts}
        models = to_json(compute.to_dict(bundle.models)).encode()
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in [models, *parts.values()])).hexdigest()

    def schema(self) -> list[dict[str, Any]]:
        """Return the input schema, one record per column.

        `auroc_without` is the AUROC without the column, if that was measured. `not_eligible` describes who must not be
        scored, with the level, or the number below which, a person is excluded; None if the column excludes nobody.
        """
        alone = {next(iter(each.absent)): each.auroc for each in self.bundle.patterns if len(each.absent) == 1}
        not_eligible = {each.feature.name: each.to_dict() for each in self.exclusions}
        return [
            {**row, "auroc_without": alone.get(row["name"]), "not_eligible": not_eligible.get(row["name"])}
            for row in schema(self.schema_features)
        ]

    def score(self, people: object, *, reasons: int = DEFAULT_REASONS) -> pd.DataFrame:
        """Score people.

        Parameters
        ----------
        people
            A pandas or polars frame or an Arrow table with the columns of `schema`; other columns are copied. A dict
            is one person.
        reasons
            Number of largest contributions to return.

        Returns
        -------
        pandas.DataFrame
            The input columns, then those of the answer (`columns`), with the same index and order.

        Raises
        ------
        MgRiskError
            `input.not_a_frame`; those of `check_columns`; `score.reasons` for a number of reasons out of range.
        """
        frame = as_frame(people)
        return pd.concat([frame, self.results(frame, reasons=reasons, beside=True)], axis=1)

    def results(self, people: object, *, reasons: int, beside: bool = False) -> pd.DataFrame:
        """Return the columns of the answer only; with `beside`, the input must not have columns of the same names."""
        frame, added = as_frame(people), self.columns(reasons=reasons)
        checked = self._checked(frame, added=added if beside else ())
        return self.answer(checked, reasons=reasons).frame(frame.index)

    def _checked(self, people: pd.DataFrame, *, added: Sequence[str] = RESULTS) -> Checked:
        """Check columns and values, and warn once per set of names about unused columns that resemble inputs."""
        columns = [*map(str, people.columns)]
        check_columns(columns, self.schema_features, where="columns of the frame", added=added)
        if columns != self._last_columns:
            self._last_columns = columns
            unused = unused_columns([name for name in columns if name != PERSON], self.schema_features)
            if near := [f"{name} ({meant}?)" for name, meant in unused.items() if meant]:
                warnings.warn(f"columns not used: {', '.join(near)}", UserWarning, stacklevel=4)
        return self._marked(check(people, self.schema_features, self.missing))

    def _marked(self, checked: Checked) -> Checked:
        return mark_excluded(mark_contradictions(checked), self.exclusions)

    def answer(self, checked: Checked, *, reasons: int) -> Answers:
        """Return the answers for checked people; people to whom the model does not apply get none."""
        checked = self._marked(checked)
        n, features = len(checked), self.bundle.features
        columns = complete_columns(checked.columns, self._family, n=n, models=self.bundle.models)
        X = self.bundle.encoder.encode(columns, n=n)
        values = np.stack([columns[feature.name] for feature in features])
        found = self.bundle.predict(X)
        risk = np.stack([expit(found.log_odds), *self.bundle.interval(found), *self.bundle.interval_of_inputs(found)])
        outside = self.bundle.outside(columns, n=n)
        inside = np.logical_not(np.logical_or.reduce(outside))
        risk[:, ~checked.scored], outside[:, ~checked.scored] = np.nan, False
        chosen = np.full((n, reasons), -1, dtype=np.int64)
        effect = np.full((n, reasons), np.nan)
        if reasons:
            contributions = found.contributions if found.contributions is not None else self.explainer.values(X).T
            largest(np.ascontiguousarray(contributions), chosen, effect)
        return Answers(
            label=self.stamp,
            features=features,
            status=checked.status,
            problems=self._codes.join(checked.state, checked.wrong_fields, outside),
            risk=risk,
            used=np.isfinite(values).sum(axis=0),
            inside=inside,
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
        people = to_frame(columns, with_ancestors(option_features()), index=pd.RangeIndex(len(risk)))
        return WhatIf.of(people, risk, self._usual_magnesium.band(people) if self._usual_magnesium else None)

    @cached_property
    def _usual_magnesium(self) -> UsualMagnesium | None:
        """The model of usual magnesium; None if the bundle has none, and doses use the recalled days."""
        found = self.bundle.models.get(MODEL)
        return found if isinstance(found, UsualMagnesium) else None

    def uncertainty(self, people: object) -> pd.DataFrame:
        """Return the sources of uncertainty of each person's risk; NaN for people who are not scored.

        Returns
        -------
        pandas.DataFrame
            `se_log_odds`, the standard error behind the scored interval; `recall_se_log_odds`, the standard error from
            few recalled days of magnesium (`recall_error.recall_se`); `recall_share`, the latter's share of the
            variance of both. Same index.
        """
        frame = as_frame(people)
        checked = self._checked(frame)
        _, X = self.bundle.encode(checked.values)
        sampling = self.bundle.predict(X).se
        recall = recall_se(self.bundle, checked.values)
        columns = {
            "se_log_odds": sampling,
            "recall_se_log_odds": recall,
            "recall_share": recall_share(recall, sampling),
        }
        table = pd.DataFrame(columns, index=frame.index)
        table.loc[~checked.scored] = np.nan
        return table

    def explain(self, people: object) -> ShapExplanation:
        """Compute SHAP values of the calibrated log-odds; rows of people who are not scored are NaN.

        Parameters
        ----------
        people
            As for `score`.

        Returns
        -------
        ShapExplanation
            A `shap.Explanation`: base value plus SHAP values equal the logit of the reported risk.
        """
        return self.attributions(people).to_shap()

    def attributions(self, people: object) -> Explanation:
        """Return the explanation that `explain` converts to a `shap.Explanation`."""
        frame = as_frame(people)
        checked = self._checked(frame)
        explanation = self.explainer.explain(checked.values.set_axis(frame.index))
        explanation.values[~checked.scored] = np.nan
        explanation.base_values[~checked.scored] = np.nan
        return explanation

    @cached_property
    def _codes(self) -> Codes:
        return Codes(self.schema_features, self.bundle.features)


def load_scorer(
    folder: Path | str,
    *,
    threads: int = 1,
    what_if: bool = False,
    next_question: bool = False,
    missing: Missing = MISSING,
    model_digest: bool = False,
) -> Scorer:
    """Load a bundle for scoring.

    Parameters
    ----------
    folder
        The bundle's folder.
    threads
        Threads for prediction by tree models.
    what_if, next_question, missing, model_digest
        As for `Scorer`.

    Raises
    ------
    MgRiskError
        As `model.bundle.read_bundle`; exit status 5.

    Examples
    --------
    >>> load_scorer("models/undiagnosed").schema()[0]["name"]  # doctest: +SKIP
    'person_id'
    """
    bundle, digest = read_bundle(Path(folder), threads=threads), sha256(Path(folder) / SUMS)
    options = {"what_if": what_if, "next_question": next_question, "model_digest": model_digest}
    return Scorer(bundle, missing=missing, digest=digest, **options)
