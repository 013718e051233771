"""Make the SYNTHETIC bundle and people of benchmarks/score.py: 40 numbers, 300 trees, a tenth of the cells empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray

from mgrisk.explain.attributions import PART, build
from mgrisk.features.registry import Feature
from mgrisk.model.bundle import Bundle
from mgrisk.model.calibration import Calibrator
from mgrisk.model.learners import Encoder
from mgrisk.model.reference import describe
from mgrisk.model.trees.learners import FittedTrees
from mgrisk.survey.design import WeightLevel

N_COLUMNS, N_TREES, N_BACKGROUND = 40, 300, 10_000


def names(columns: int = N_COLUMNS) -> list[str]:
    """Return the names of the columns."""
    return [f"x{number:02}" for number in range(1, columns + 1)]


NAMES = names()


def values(rows: int, *, seed: int, columns: int = N_COLUMNS) -> NDArray[np.float64]:
    """Return numbers with three decimals; NaN if empty."""
    random = np.random.default_rng(seed)
    X = random.normal(20, 5, size=(rows, columns)).round(3)
    X[random.random(X.shape) < 0.1] = np.nan
    return X


def write_people(target: Path, rows: int, *, columns: int = N_COLUMNS) -> None:
    """Write a scoring file in pieces, to limit memory."""
    for number, first in enumerate(range(0, rows, 50_000)):
        frame = pd.DataFrame(values(min(50_000, rows - first), seed=number, columns=columns), columns=names(columns))
        frame.insert(0, "person_id", np.arange(first, first + len(frame)))
        frame.to_csv(target, mode="a" if first else "w", header=not first, index=False)


def write_bundle(folder: Path, *, depth: int, columns: int = N_COLUMNS, trees: int = N_TREES) -> None:
    """Train and write a bundle with trees of a given depth."""
    features = tuple(
        Feature(
            name=name,
            module="background",
            group="background",
            kind="number",
            label=name,
            unit="1",
            level=WeightLevel.INTERVIEW,
            comparable=("2007-2008", "2017-2018"),
            formula="made up",
            citation="made up",
            minimum=-100,
            maximum=100,
        )
        for name in names(columns)
    )
    X = values(N_BACKGROUND, seed=10_000, columns=columns).astype(np.float32)
    random = np.random.default_rng(depth)
    signal = np.nan_to_num((X - 20) / 5)
    logit = signal[:, :10].sum(axis=1) + signal[:, 10] * signal[:, 11] - 2
    y = (logit + 2 * random.logistic(size=len(X)) > 0).astype(np.float32)
    weight = random.gamma(1.0, size=len(X))
    settings = {"objective": "binary:logistic", "max_depth": depth, "eta": 0.1, "nthread": 1}
    booster = xgb.train(settings, xgb.DMatrix(X, y, weight=weight, feature_names=names(columns)), trees)
    fitted = FittedTrees(booster, trees)
    frame = pd.DataFrame(X.astype(np.float64), columns=names(columns))
    Bundle(
        about={
            "name": f"SYNTHETIC depth {depth}",
            "title": "made up",
            "learner": "xgboost",
            "synthetic": True,
            "data": "SYNTHETIC",
            "outcome": {"name": "made-up"},
            "mgrisk": "0",
        },
        features=features,
        fitted=fitted,
        calibrator=Calibrator(0.1, 0.9, np.array([[0.01, 0.001], [0.001, 0.01]]), 60),
        reference=describe(frame, features, weight),
        parts={PART: build(fitted, Encoder(features), X, weight), "card.md": b"# SYNTHETIC\n"},
    ).write(folder)
