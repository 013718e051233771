"""The model bundle: a fitted, calibrated model in a folder of JSON, arrays and xgboost's own format; no pickle.

bundle.json      outcome, population, features and format version
additive.json | model.ubj | shapes.json | sum.json with part-0-…, part-1-… of these
calibrator.json  map from the linear predictor to log-odds; the identity in an additive model, which includes it
uncertainty.npz  sampling error of a person's log-odds, where the pipeline was refitted to estimate it
fitted_features.json  models of features such as usual intake: those that the model's features need, and that of usual
                 magnesium for the what-if, where the run could fit it
reference.json   distribution of the features in the development population
drift_reference.json  distribution of features and risks in the people the bundle was recalibrated on, with which
                 batches are compared; out of distribution still refers to the development population
patterns.json    AUROC and calibration with some inputs absent, over left-out cycles, where the run measured them
attributions.npz tables for the SHAP values of models that are not additive (written by `explain.attributions`)
card.md          model card
SHA256SUMS       of all of these; loading verifies them

Bundles of format 1 are still read: their spline models are in coefficients.json and replace a missing value by the
median.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self, Unpack

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from scipy.special import expit

from mgrisk.config.checked import Checked, Count, Finite, Share, Text, brief
from mgrisk.errors import Found, MgRiskError, bad_bundle
from mgrisk.features import compute
from mgrisk.features.compute import FITTED_FEATURES, Columns, Models, complete_columns, to_columns, to_frame
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.model import reference
from mgrisk.model.additive import Additive
from mgrisk.model.bundle_files import (
    BAD_FORMAT,
    CALIBRATOR,
    CARD,
    DESCRIPTION,
    DRIFT,
    PATTERNS,
    REFERENCE,
    SUMS,
    bad_file,
    read_file,
)
from mgrisk.model.calibration import Calibrator
from mgrisk.model.learners import Encoder, Fitted
from mgrisk.model.stacking import read_fitted
from mgrisk.model.uncertainty import FILE as UNCERTAINTY
from mgrisk.model.uncertainty import Uncertainty
from mgrisk.storage.files import atomic_folder, is_intact, to_json
from mgrisk.survey.variance import t_quantile
from mgrisk.types import Booleans, Floats, Singles

FORMAT: Final = 2
READ: Final = (1, 2)
"""Formats that can be read."""
LARGEST_FILE: Final = 64 * 2**20  # bytes; files of a bundle have megabytes


class _Condition(Checked):
    variable: Text


class _Outcome(Checked):
    name: Text
    label: Text
    definition: Text
    warning: Text
    eligible: list[_Condition] = Field(default=[])
    exclude: list[_Condition] = Field(default=[])


class _Parent(Checked):
    name: Text
    sha256: Text


Interval = Annotated[list[Finite | None], Field(min_length=3, max_length=3)]


class Performance(Checked):
    """Performance of the model in held-out people, as printed in its card.

    Attributes
    ----------
    set
        The held-out cycles.
    auroc, observed_expected
        Estimate and the bounds of its 95 % interval; None where one is not estimable.
    """

    set: Text
    auroc: Interval
    observed_expected: Interval


class _About(Checked):
    """The fields of bundle.json that are read."""

    format: Literal[1, 2]
    name: str = Field(min_length=1, max_length=200)
    learner: Text
    synthetic: bool
    data: Text
    # It goes into the requirements of a logged model.
    mgrisk: str = Field(pattern=r"^[0-9A-Za-z.+!-]{1,40}$")
    outcome: _Outcome
    cycles: list[Text]
    minimum_age: Finite = 0.0
    parent: _Parent | None = None
    holds_for: str = ""
    people: Count
    prevalence: Share
    interval: Text
    refits: Count
    performance: Performance | None = None
    features: list[Feature] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({feature.name for feature in self.features}) < len(self.features):
            raise ValueError("features: two have one name")
        return self


class PatternOfInputs(Checked):
    """Performance of the model over left-out cycles with some inputs absent.

    Attributes
    ----------
    absent
        Names of the features.
    auroc, calibration_slope, observed_expected
        Weighted estimates; None where the last two are not estimable.
    """

    absent: list[str]
    auroc: Share
    calibration_slope: Finite | None
    observed_expected: Finite | None


class _Patterns(Checked):
    patterns: list[PatternOfInputs]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions of a bundle for some people, in log-odds.

    Attributes
    ----------
    log_odds
        Log-odds of the reported risk, shape (n,).
    se
        Their standard error, shape (n,); `about["interval"]` says what it includes.
    expected, unknown
        Mean and standard deviation of the log-odds over the distribution of the absent inputs, shape (n,) each. NaN
        where the model is not additive.
    base
        Log-odds minus the sum of contributions, shape (n,); None where the model is not additive.
    contributions
        SHAP value of each feature, shape (n_features, n); None where the model is not additive.
    """

    log_odds: Floats
    se: Floats
    expected: Floats
    unknown: Floats
    base: Floats | None = None
    contributions: Floats | None = None


@dataclass(frozen=True)
class Bundle:
    """A fitted, calibrated model with its input schema.

    Attributes
    ----------
    about
        Content of bundle.json: name, title, outcome, cohort, provenance, `synthetic`.
    features
        Features of the model, in the order of the encoder.
    fitted, calibrator
        The linear predictor, and the map from it to the risk.
    reference
        Weighted distribution of each feature in the development population.
    parts
        Further files by name, as bytes.
    models
        Fitted models of the features that need one.
    uncertainty
        Sampling error of the whole pipeline; None where only that of the calibration was estimated.
    """

    about: Mapping[str, Any]
    features: tuple[Feature, ...]
    fitted: Fitted
    calibrator: Calibrator
    reference: Mapping[str, Any]
    parts: Mapping[str, bytes]
    models: Models = field(default_factory=dict)
    uncertainty: Uncertainty | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling to another process; on disk a bundle is what `write` writes."""
        return {
            name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in vars(self).items()
        }

    @cached_property
    def family(self) -> tuple[Feature, ...]:
        """The features of the model and those that they derive from, ancestors first."""
        return with_ancestors(self.features)

    @cached_property
    def inputs(self) -> tuple[Feature, ...]:
        """Features that a scoring file may contain."""
        return tuple(feature for feature in self.family if feature.given)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the model's features."""
        return Encoder(self.features)

    def encode(self, given: pd.DataFrame) -> tuple[pd.DataFrame, Singles]:
        """Complete typed features and encode them: the frame of model features, and the matrix (n, n_columns)."""
        columns = self.complete(to_columns(given, self.family), n=len(given))
        return to_frame(columns, self.features, index=given.index), self.encoder.encode(columns, n=len(given))

    def complete(self, given: Columns, *, n: int) -> Columns:
        """Complete the features of n people: those of the model and all that they derive from."""
        return complete_columns(given, self.family, n=n, models=self.models)

    def predict(self, X: Singles) -> Prediction:
        """Predict from an encoded matrix (n, n_columns), NaN where an input is absent."""
        to_log_odds = self.calibrator.log_odds
        if not isinstance(self.fitted, Additive):
            margin, cannot = self.fitted.margin(X), np.full(len(X), np.nan)
            se = self.calibrator.se(margin) if self.uncertainty is None else self.uncertainty.se(X)
            return Prediction(to_log_odds(margin), se, cannot, cannot)
        found, slope = self.fitted.answer(X), self.calibrator.slope
        se = self.calibrator.se(found.log_odds) if self.fitted.sampling is None else slope * np.sqrt(found.variance)
        return Prediction(
            to_log_odds(found.log_odds),
            se,
            to_log_odds(found.expected),
            slope * found.unknown,
            to_log_odds(found.base),
            found.contributions if slope == 1.0 else slope * found.contributions,
        )

    def risk(self, X: Singles) -> Floats:
        """Return the reported risks, shape (n,), of an encoded matrix (n, n_columns)."""
        risk: Floats = expit(self.calibrator.log_odds(self.fitted.margin(X)))
        return risk

    def interval(self, found: Prediction, *, level: float = 0.90) -> tuple[Floats, Floats]:
        """Return the bounds of the risk, shape (n,) each, from the t distribution with the df of the design."""
        reach = t_quantile(level, self.calibrator.df) * found.se
        return expit(found.log_odds - reach), expit(found.log_odds + reach)

    def interval_of_inputs(self, found: Prediction, *, level: float = 0.90) -> tuple[Floats, Floats]:
        """Return the bounds within which the risk would lie if the absent inputs were known, shape (n,) each."""
        reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * found.unknown
        return expit(found.expected - reach), expit(found.expected + reach)

    def in_domain(self, frame: pd.DataFrame) -> Booleans:
        """Return who is in the training distribution, shape (n,), from completed model features."""
        inside: Booleans = np.logical_not(
            np.logical_or.reduce(self.outside(to_columns(frame, self.features), n=len(frame)))
        )
        return inside

    def outside(self, columns: Columns, *, n: int) -> Booleans:
        """Return which features of each person are out of the training distribution, shape (n_features, n)."""
        return reference.outside_domain(columns, self.features, self.reference, n=n)

    @cached_property
    def patterns(self) -> tuple[PatternOfInputs, ...]:
        """Performance by pattern of absent inputs, the complete one first; empty where the run did not measure it."""
        if PATTERNS not in self.parts:
            return ()
        found = read_file(lambda rows: _Patterns.of({"patterns": rows}), self.parts, PATTERNS).patterns
        known = {feature.name for feature in self.features}
        if not any(not row.absent for row in found) or any(not known.issuperset(row.absent) for row in found):
            raise bad_file(PATTERNS, "names inputs that the bundle does not have, or lacks the pattern with all inputs")
        return tuple(found)

    @cached_property
    def drift_reference(self) -> Mapping[str, Any]:
        """Distribution that batches are compared with: of the recalibration cohort, else the development cohort."""
        if DRIFT not in self.parts:
            return self.reference
        return read_file(lambda row: reference.check(row, self.features), self.parts, DRIFT)

    @property
    def drift_people(self) -> str:
        """Whose distribution `drift_reference` is, in words."""
        return "recalibration" if DRIFT in self.parts else "development"

    def auroc_without(self, absent: Collection[str]) -> tuple[float, float] | None:
        """Return the AUROC over left-out cycles with all inputs, and without some.

        Where the run did not measure this set, the AUROC of an additive model is interpolated between the sets that it
        measured, by the unknown variance that each leaves. None for any other model.

        Parameters
        ----------
        absent
            Names of features of the model.
        """
        known = {frozenset(each.absent): each.auroc for each in self.patterns}
        if not absent or not known:
            return None
        whole, asked = known[frozenset()], frozenset(absent)
        if asked in known:
            return whole, known[asked]
        if not isinstance(self.fitted, Additive):
            return None
        names = [feature.name for feature in self.features]
        left = {each: self.fitted.unknown(np.isin(names, list(each))) for each in (asked, *known)}
        order = sorted(known, key=lambda each: left[each])
        # More unknown variance is never better: estimates above that are chance.
        falling = np.minimum.accumulate([known[each] for each in order])
        return whole, float(np.interp(left[asked], [left[each] for each in order], falling))

    @property
    def refits(self) -> int:
        """Number of refits behind the interval."""
        found = self.fitted.sampling if isinstance(self.fitted, Additive) else self.uncertainty
        return 0 if found is None else found.replicates

    def write(self, folder: Path) -> None:
        """Write the bundle; the folder appears whole or not at all, and replaces nothing but an unchanged bundle."""
        about = {
            "format": FORMAT,
            **self.about,
            "refits": self.refits,
            "features": [feature.model_dump(mode="json") for feature in self.features],
        }
        contents = {
            DESCRIPTION: to_json(about).encode(),
            CALIBRATOR: to_json(self.calibrator.to_dict()).encode(),
            REFERENCE: to_json(dict(self.reference)).encode(),
            **({FITTED_FEATURES: to_json(compute.to_dict(self.models)).encode()} if self.models else {}),
            **({UNCERTAINTY: self.uncertainty.to_bytes()} if self.uncertainty is not None else {}),
            **self.fitted.to_files(),
            **self.parts,
        }
        with atomic_folder(folder, is_ours=is_bundle) as part:
            for name, content in contents.items():
                (part / name).write_bytes(content)


def is_bundle(folder: Path) -> bool:
    """Return whether a folder is an unchanged bundle and holds nothing else.

    Examples
    --------
    >>> from mgrisk.model.released import released
    >>> is_bundle(released("undiagnosed")), is_bundle(released("undiagnosed").parent)
    (True, False)
    """
    return is_intact(folder, marker=DESCRIPTION)


def read_bundle(folder: Path, *, threads: int = 1) -> Bundle:
    """Read and verify a bundle.

    Parameters
    ----------
    folder
        The bundle's folder.
    threads
        Threads that xgboost may use in scoring.

    Raises
    ------
    MgRiskError
        `bundle.missing`, `bundle.bad_sum`, `bundle.bad_format` or `bundle.bad_model`; exit status 5.
    """
    contents = _verified(folder)
    about, features = _about(contents, folder)
    if unknown := compute.underivable(features):
        raise _broken(
            f"this version of mgrisk does not know how to derive {unknown[0]}",
            folder,
            hint="score with the mgrisk version that wrote it",
        )
    family, own = with_ancestors(features), {feature.name: feature for feature in features}
    for parent in family:
        feature = own.get(parent.name, parent)
        if (feature.kind, feature.levels) != (parent.kind, parent.levels):
            raise _broken(f"other features derive from {feature.name}, which has other levels in this version", folder)
    spread_of_features = read_file(lambda row: reference.check(row, features), contents, REFERENCE)
    fitted_features = {FITTED_FEATURES: b"{}", **contents}
    models = read_file(lambda row: compute.from_dict(row, family), fitted_features, FITTED_FEATURES)
    owners = Encoder(features).owners
    uncertain = contents.get(UNCERTAINTY)
    found = Bundle(
        about=MappingProxyType(about),
        features=features,
        fitted=read_fitted(contents, owners=owners, threads=threads),
        calibrator=read_file(Calibrator.from_dict, contents, CALIBRATOR),
        reference=MappingProxyType(spread_of_features),
        parts=MappingProxyType(
            {name: contents[name] for name in ("attributions.npz", PATTERNS, DRIFT, CARD) if name in contents}
        ),
        models=models,
        uncertainty=None if uncertain is None else Uncertainty.from_bytes(uncertain, n_columns=len(owners)),
    )
    _check_parts(found)
    if about["refits"] != found.refits:
        raise _broken("the refits of its interval are not those that bundle.json states", folder)
    return found


def read_about(folder: Path) -> dict[str, Any]:
    """Read bundle.json after verifying the checksums; the model itself is not read.

    Parameters
    ----------
    folder
        The bundle's folder.

    Returns
    -------
    dict
        Content of bundle.json.

    Raises
    ------
    MgRiskError
        `bundle.missing`, `bundle.bad_sum` or `bundle.bad_format`; exit status 5.

    Examples
    --------
    >>> from mgrisk.model.released import released
    >>> read_about(released("undiagnosed"))["data"]
    'NHANES'
    """
    return _about(_verified(folder), folder)[0]


def _about(contents: Mapping[str, bytes], folder: Path) -> tuple[dict[str, Any], tuple[Feature, ...]]:
    def check(about: Any) -> tuple[dict[str, Any], tuple[Feature, ...]]:
        version = about.get("format") if isinstance(about, dict) else None
        if isinstance(version, int) and version not in READ:
            raise _broken(
                "the bundle has another format version",
                folder,
                expected=" or ".join(map(str, READ)),
                got=brief(version),
                hint="score with the mgrisk version that wrote it",
            )
        return about, tuple(_About.of(about).features)

    return read_file(check, contents, DESCRIPTION)


def _verified(folder: Path) -> dict[str, bytes]:
    if not (folder / SUMS).is_file():
        raise bad_bundle(
            "bundle.missing",
            "there is no bundle here: SHA256SUMS is missing",
            where=str(folder),
            hint="give the folder named bundle/ of a run, or one under models/",
        )
    contents = {}
    # Bytes, split at "\n" alone: no other character may count as the end of a line.
    sums = _read(folder, SUMS).decode("utf-8", errors="replace")
    for line in sums.removesuffix("\n").split("\n"):
        digest, _, name = line.partition("  ")
        content = _read(folder, name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise _bad_sum(f"{name} was changed: its sha256 differs from SHA256SUMS", folder)
        contents[name] = content
    return contents


def _read(folder: Path, name: str) -> bytes:
    """Return a file of the folder itself: neither the name nor a link may lead out of it."""
    path = folder / name
    # File systems cannot look up very long names.
    if len(name) > 60 or path.parent != folder or not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise _bad_sum(f"{brief(name)} is missing, too large or not in the folder", folder)
    if path.resolve().parent != folder.resolve():
        raise _bad_sum(f"{name} is a link that leads out of the folder", folder)
    return path.read_bytes()


def _check_parts(bundle: Bundle) -> None:
    """Read the parts that are otherwise read late, so that a damaged one is refused before a row is scored."""
    _ = bundle.patterns, bundle.drift_reference
    try:
        bundle.parts.get(CARD, b"").decode("utf-8")
    except UnicodeDecodeError:
        raise bad_file(CARD, "is no UTF-8 text") from None


FRESH: Final = "take a fresh copy of the bundle"


def _broken(message: str, folder: Path, *, hint: str = FRESH, **found: Unpack[Found]) -> MgRiskError:
    return bad_bundle(BAD_FORMAT, message, where=str(folder), hint=hint, **found)


def _bad_sum(message: str, folder: Path) -> MgRiskError:
    return bad_bundle("bundle.bad_sum", message, where=str(folder), hint=FRESH)
