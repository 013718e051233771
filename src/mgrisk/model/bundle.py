"""The bundle: a model as it leaves the house. A folder of JSON, arrays and xgboost's own format; no pickle.

bundle.json      what it predicts, for whom, from which features; format version
model.ubj | coefficients.json | shapes.json | sum.json with part-0-…, part-1-… of these
calibrator.json  margin to risk
uncertainty.npz  what sampling error does to a person's log-odds, where the pipeline was fitted again to tell
fitted_features.json  models of features such as usual intake, where the model has such features
reference.json   how the features were spread in the development population
attributions.npz what the explanations need (written by the explain room)
card.md          model card
SHA256SUMS       of all of these; loading verifies them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from mgrisk.artifacts import atomic_folder, to_json
from mgrisk.errors import MgRiskError, bad_bundle
from mgrisk.features import fitted
from mgrisk.features.compute import Columns, complete_columns, to_columns, to_frame
from mgrisk.features.fitted import Models
from mgrisk.features.registry import Feature, with_ancestors
from mgrisk.model import reference
from mgrisk.model.calibrate import Calibrator
from mgrisk.model.encode import Encoder
from mgrisk.model.kinds import read_fitted
from mgrisk.model.learners import Fitted
from mgrisk.model.uncertainty import FILE as UNCERTAINTY
from mgrisk.model.uncertainty import Uncertainty
from mgrisk.survey.intervals import t_quantile

FORMAT: Final = 1
SUMS: Final = "SHA256SUMS"
FITTED_FEATURES: Final = "fitted_features.json"
# What is read of `about` without asking whether it is there.
ABOUT: Final = {"name": str, "synthetic": bool, "data": str, "outcome": dict, "refits": int}
LARGEST_FILE: Final = 64 * 2**20  # bytes; a bundle is megabytes, whatever is larger is not one of ours


@dataclass(frozen=True)
class Bundle:
    """A fitted, calibrated model with its contract.

    Attributes
    ----------
    about
        Content of bundle.json: name, title, outcome, cohort, provenance, `synthetic`.
    features
        Features of the model, in the order of the encoder.
    fitted, calibrator
        The margin, and the map from it to the risk.
    reference
        Weighted distribution of each feature in the development population.
    parts
        Further files by name, as bytes.
    models
        Fitted models of the features that need one.
    uncertainty
        Sampling error of the whole pipeline; None where only that of the calibration is known.
    """

    about: Mapping[str, Any]
    features: tuple[Feature, ...]
    fitted: Fitted
    calibrator: Calibrator
    reference: Mapping[str, Any]
    parts: Mapping[str, bytes]
    models: Models = field(default_factory=dict)
    uncertainty: Uncertainty | None = None

    @cached_property
    def family(self) -> tuple[Feature, ...]:
        """The features of the model and those that they derive from, ancestors first."""
        return with_ancestors(self.features)

    @cached_property
    def inputs(self) -> tuple[Feature, ...]:
        """Every feature that a scoring file may give."""
        return tuple(feature for feature in self.family if feature.given)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the model's features."""
        return Encoder(self.features)

    def encode(self, given: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.float32]]:
        """Complete typed features and encode them: the frame of model features, and the matrix (n, n_columns)."""
        columns = self.complete(to_columns(given, self.family), n=len(given))
        return to_frame(columns, self.features, index=given.index), self.encoder.encode(columns, n=len(given))

    def complete(self, given: Columns, *, n: int) -> Columns:
        """Complete the features of n people: those of the model and all that they derive from."""
        return complete_columns(given, self.family, n=n, models=self.models)

    def standard_error(self, X: NDArray[np.float32], margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard error of the calibrated log-odds, shape (n,): of all that `about["interval"]` names."""
        return self.calibrator.se(margin) if self.uncertainty is None else self.uncertainty.se(X)

    def interval(
        self, margin: NDArray[np.float64], se: NDArray[np.float64], *, level: float = 0.90
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bounds of the risk, shape (n,) each, on t with the degrees of freedom of the design."""
        centre, reach = self.calibrator.log_odds(margin), t_quantile(level, self.calibrator.df) * se
        return expit(centre - reach), expit(centre + reach)

    def in_domain(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Tell who is like the people of development, shape (n,), from completed model features."""
        return self.inside(to_columns(frame, self.features), n=len(frame))

    def inside(self, columns: Columns, *, n: int) -> NDArray[np.bool_]:
        """Do the work of `in_domain` on plain arrays."""
        return reference.in_domain(columns, self.features, self.reference, n=n)

    def write(self, folder: Path) -> None:
        """Write the bundle; the folder appears whole or not at all."""
        about = {
            "format": FORMAT,
            **self.about,
            "refits": 0 if self.uncertainty is None else self.uncertainty.replicates,
            "features": [feature.model_dump(mode="json") for feature in self.features],
        }
        contents = {
            "bundle.json": to_json(about).encode(),
            "calibrator.json": to_json(self.calibrator.to_dict()).encode(),
            "reference.json": to_json(dict(self.reference)).encode(),
            **({FITTED_FEATURES: to_json(fitted.to_dict(self.models)).encode()} if self.models else {}),
            **({UNCERTAINTY: self.uncertainty.to_bytes()} if self.uncertainty is not None else {}),
            **self.fitted.to_files(),
            **self.parts,
        }
        sums = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
        with atomic_folder(folder) as part:
            for name, content in {**contents, SUMS: sums.encode()}.items():
                (part / name).write_bytes(content)


def load_bundle(folder: Path, *, threads: int = 1) -> Bundle:
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
    try:
        about = json.loads(contents["bundle.json"])
        if about.get("format") != FORMAT:
            raise _broken(
                "bundle.bad_format",
                "the bundle has another format version",
                folder,
                expected=str(FORMAT),
                got=str(about.get("format")),
                hint="score with the mgrisk version that wrote it",
            )
        for name, kind in ABOUT.items():
            if type(about[name]) is not kind:
                raise ValueError(f"{name} is no {kind.__name__}")
        if bool(about["refits"]) != (UNCERTAINTY in contents):
            raise ValueError(f"{UNCERTAINTY} is not there, or not meant to be")
        features = tuple(Feature.model_validate(row) for row in about["features"])
        row = json.loads(contents["calibrator.json"])
        calibrator = Calibrator(
            intercept=float(row["intercept"]),
            slope=float(row["slope"]),
            covariance=np.array(row["covariance"], dtype=np.float64).reshape(2, 2),
            df=int(row["df"]),
        )
        numbers = [calibrator.intercept, calibrator.slope, *calibrator.covariance.ravel()]
        if not np.isfinite(numbers).all():
            raise ValueError("a number of the calibrator is not finite")
        spread_of_features = {**json.loads(contents["reference.json"])}
        reference.check(spread_of_features, features)
        models = fitted.from_dict(json.loads(contents.get(FITTED_FEATURES, b"{}")), with_ancestors(features))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise _broken("bundle.bad_format", f"a part cannot be read: {problem!r}", folder) from None
    n_columns = len(Encoder(features).columns)
    uncertain = contents.get(UNCERTAINTY)
    return Bundle(
        about=MappingProxyType(about),
        features=features,
        fitted=read_fitted(contents, n_columns=n_columns, threads=threads),
        calibrator=calibrator,
        reference=MappingProxyType(spread_of_features),
        parts=MappingProxyType({name: contents[name] for name in ("attributions.npz", "card.md") if name in contents}),
        models=models,
        uncertainty=None if uncertain is None else Uncertainty.from_bytes(uncertain, n_columns=n_columns),
    )


def _verified(folder: Path) -> dict[str, bytes]:
    if not (folder / SUMS).is_file():
        raise _broken(
            "bundle.missing",
            "there is no bundle here: SHA256SUMS is missing",
            folder,
            hint="give the folder named bundle/ of a run, or one under models/",
        )
    contents = {}
    # Bytes, and split at "\n" alone: no other sign may pass for the end of a line.
    sums = (folder / SUMS).read_bytes().decode("utf-8", errors="replace")
    for line in sums.removesuffix("\n").split("\n"):
        digest, _, name = line.partition("  ")
        path = folder / name
        if path.parent != folder or not path.is_file() or path.stat().st_size > LARGEST_FILE:
            raise _broken("bundle.bad_sum", f"{name} is missing, too large or not in the folder", folder)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise _broken("bundle.bad_sum", f"{name} is not what was written: its sha256 differs", folder)
        contents[name] = content
    return contents


def _broken(code: str, message: str, folder: Path, *, hint: str = "", **found: str) -> MgRiskError:
    return bad_bundle(code, message, where=str(folder), hint=hint or "take a fresh copy of the bundle", **found)
